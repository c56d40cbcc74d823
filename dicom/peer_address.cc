/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/peer_address.hh"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"

peer_address::~peer_address()
{
    if (connection_ >= 0) {
        (void)::close(connection_);
    }
    if (listener_ >= 0) {
        (void)::close(listener_);
    }
}

int peer_address::take_connection()
{
    const int fd = connection_;
    connection_ = -1;
    return fd;
}

/* Whether there is a connection now. */
bool peer_address::connect_to(const struct addrinfo &address, int connect_ms)
{
    const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int status = fd < 0 ? errno : 0;
    if (status == 0 && connect(fd, address.ai_addr, address.ai_addrlen) != 0) {
        status = errno;
    }
    const int64_t until_ms = sctd_boot_ms() + connect_ms;
    while (status == EINPROGRESS || status == EINTR) {
        const int64_t left_ms = until_ms - sctd_boot_ms();
        struct pollfd p = {fd, POLLOUT, 0};
        const int n = left_ms <= 0 ? 0 : poll(&p, 1, static_cast<int>(left_ms));
        socklen_t size = sizeof status;
        if (n == 0) {
            status = ETIMEDOUT;
        } else if (n > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &size) != 0) {
            status = errno;
        }
    }
    if (status != 0) {
        errno = status;
        (void)std::snprintf(reason_.data(), reason_.size(), "%.100s", sctd_errno_text());
        if (fd >= 0) {
            (void)::close(fd);
        }
        return false;
    }
    connection_ = fd;
    return true;
}

/* Nobody accepts: the kernel completes the connection, which is replaced at once. */
bool peer_address::listen_here()
{
    struct sockaddr_in in = {};
    socklen_t size = sizeof in;
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr address = {};
    std::memcpy(&address, &in, sizeof in);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener_ < 0 || bind(listener_, &address, sizeof in) != 0 || listen(listener_, 1) != 0 ||
        getsockname(listener_, &address, &size) != 0) {
        (void)std::snprintf(reason_.data(), reason_.size(), "%.100s", sctd_errno_text());
        return false;
    }
    std::memcpy(&in, &address, sizeof in);
    host_and_port_ = "127.0.0.1:" + std::to_string(ntohs(in.sin_port));
    return true;
}

bool peer_address::find(const char *host, int port, int connect_ms)
{
    struct addrinfo hints = {};
    struct addrinfo *found = nullptr;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    const int status = getaddrinfo(host, std::to_string(port).c_str(), &hints, &found);
    if (status != 0) {
        (void)std::snprintf(reason_.data(), reason_.size(), "no address of %.100s: %.60s", host,
                            gai_strerror(status));
        return false;
    }
    is_known_ = true;
    const std::unique_ptr<struct addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
    for (const struct addrinfo *one = found; one != nullptr; one = one->ai_next) {
        if (one->ai_family == AF_INET) {
            std::array<char, INET_ADDRSTRLEN> text = {};
            struct sockaddr_in in = {};
            std::memcpy(&in, one->ai_addr, sizeof in);
            (void)inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
            host_and_port_ = std::string(text.data()) + ":" + std::to_string(port);
            return true;
        }
    }
    bool connected = false;
    for (const struct addrinfo *one = found; one != nullptr && !connected; one = one->ai_next) {
        connected = connect_to(*one, connect_ms);
    }
    return connected && listen_here();
}
