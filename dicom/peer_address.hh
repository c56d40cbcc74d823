/* peer_address.hh - how DCMTK gets to a host: it knows IPv4 only, so that an IPv6 connection is made here. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <array>
#include <string>

/*
 * Where DCMTK is to connect to.  A host that has an IPv4 address is reached there.  To one that has none there is a
 * connection already, and DCMTK connects to a listener of this process, for peer_layer::adopt to put the real one in
 * its place.
 */
class peer_address
{
  public:
    peer_address() = default;
    ~peer_address();
    peer_address(const peer_address &) = delete;
    peer_address &operator=(const peer_address &) = delete;

    /* false: reason() says why. */
    bool find(const char *host, int port, int connect_ms);
    [[nodiscard]] const std::string &host_and_port() const
    {
        return host_and_port_;
    }
    /* The connection, the caller's from now on; -1: DCMTK makes it. */
    int take_connection();
    /* After find: whether the host has an address at all. */
    [[nodiscard]] bool is_known() const
    {
        return is_known_;
    }
    [[nodiscard]] const char *reason() const
    {
        return reason_.data();
    }

  private:
    bool connect_to(const struct addrinfo &address, int connect_ms);
    bool listen_here();

    std::string host_and_port_;
    bool is_known_ = false;
    int connection_ = -1, listener_ = -1;
    std::array<char, 200> reason_ = {};
};
