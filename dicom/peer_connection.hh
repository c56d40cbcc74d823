/* peer_connection.hh - the transport that DCMTK reads a peer through, with our deadlines. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <signal.h>
#include <sys/types.h>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/dcmlayer.h>
#include <dcmtk/dcmnet/dcmtrans.h>

#include "dicom/receiver.h"

/* Why a read or write gave nothing. */
enum class peer_state { OPEN, LOST, IDLE, SLOW, STOPPED };

class peer_connection;

/*
 * Makes the one connection of this process, and knows how it ended: DCMTK deletes a connection as soon as it
 * fails.
 */
class peer_layer : public DcmTransportLayer
{
  public:
    explicit peer_layer(const struct dicom_receiver_options &options);
    DcmTransportConnection *createConnection(DcmNativeSocketType openSocket,
                                             OFBool useSecureLayer) override;

    ~peer_layer() override;
    peer_layer(const peer_layer &) = delete;
    peer_layer &operator=(const peer_layer &) = delete;

    /* Use this connection, owned from now on, in the place of the one that DCMTK will make. */
    void adopt(int fd);
    /* A message has been answered: from now on silence is idleness. */
    void settle();
    [[nodiscard]] peer_state state() const
    {
        return state_;
    }
    [[nodiscard]] bool was_connected() const
    {
        return was_connected_;
    }

  private:
    friend class peer_connection;
    const struct dicom_receiver_options &options_;
    peer_connection *connection_ = nullptr; /* DCMTK's, while it has it */
    peer_state state_ = peer_state::OPEN;
    bool was_connected_ = false;
    int adopted_ = -1;
};

/*
 * DCMTK waits for the first bytes of a PDU only, and reads the rest without a limit; here every wait has one.
 * Acknowledgements leave at once: Nagle's algorithm of the peer waits for them, and the kernel would
 * hold them back for 40 ms.
 */
class peer_connection : public DcmTransportConnection
{
  public:
    peer_connection(DcmNativeSocketType fd, peer_layer &layer);
    ~peer_connection() override;
    peer_connection(const peer_connection &) = delete;
    peer_connection &operator=(const peer_connection &) = delete;

    void settle();

    ssize_t read(void *buf, size_t nbyte) override;
    ssize_t write(void *buf, size_t nbyte) override;
    void close() override;
    void closeTransportConnection() override;
    OFBool networkDataAvailable(int timeout) override;
    OFBool isTransparentConnection() override
    {
        return OFFalse;
    }
    OFCondition serverSideHandshake() override;
    OFCondition clientSideHandshake() override;
    OFCondition renegotiate(const char *newSuite) override;
    unsigned long getPeerCertificateLength() override
    {
        return 0;
    }
    unsigned long getPeerCertificate(void *buf, unsigned long bufLen) override;
    OFString &dumpConnectionParameters(OFString &str) override;

  private:
    bool wait(short events);
    bool fill();
    void count(std::size_t n);
    void hang_up();
    bool overdue(int64_t now);
    [[nodiscard]] int64_t deadline() const;
    void acknowledge_at_once();
    ssize_t fail(peer_state state);

    peer_layer &layer_;
    const struct dicom_receiver_options &options_;
    sigset_t unblocked_; /* SIGTERM, which sets *stop, comes only while waiting: none is missed */
    bool is_idle_ = false;
    int64_t since_ms_;     /* of the silence, or of the window */
    int64_t received_ = 0; /* in the window */
    std::array<unsigned char, 65536> buffer_;
    std::size_t begin_ = 0, end_ = 0; /* what is in the buffer */
};
