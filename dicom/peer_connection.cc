/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/peer_connection.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dicom/receiver.h"
#include "engine/base/clock.h"

namespace
{

constexpr int linger_ms = 500;
constexpr int unsent_max = 256 << 10;
/* A-ABORT by the provider, no reason given (PS3.8 9.3.8). */
constexpr std::array<unsigned char, 10> abort_pdu = {7, 0, 0, 0, 0, 4, 0, 0, 2, 0};

} // namespace

peer_connection::peer_connection(DcmNativeSocketType fd, peer_layer &layer)
    : DcmTransportConnection(fd), layer_(layer), options_(layer.options_), since_ms_(sctd_boot_ms())
{
    const int on = 1;
    (void)setsockopt(fd, SOL_TCP, TCP_NODELAY, &on, sizeof on);
    /* The kernel would take megabytes in a moment, and a slow line seem to be a silent peer. */
    (void)setsockopt(fd, SOL_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof unsent_max);
    acknowledge_at_once();
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &unblocked_);
}

peer_connection::~peer_connection()
{
    hang_up();
    layer_.connection_ = nullptr;
}

/* The kernel falls back to delayed acknowledgements after each answer: say it again and again. */
void peer_connection::acknowledge_at_once()
{
    const int on = 1;
    (void)setsockopt(getSocket(), SOL_TCP, TCP_QUICKACK, &on, sizeof on);
}

void peer_connection::settle()
{
    is_idle_ = begin_ == end_;
    since_ms_ = sctd_boot_ms();
    received_ = 0;
}

ssize_t peer_connection::fail(peer_state state)
{
    layer_.state_ = state;
    errno = ETIMEDOUT;
    return -1;
}

int64_t peer_connection::deadline() const
{
    return since_ms_ + (is_idle_ ? options_.idle_ms : options_.window_ms);
}

/* At a deadline: whether it is one too many, else the next window begins. */
bool peer_connection::overdue(int64_t now)
{
    if (is_idle_) {
        layer_.state_ = peer_state::IDLE;
        return true;
    }
    if (received_ < options_.min_bytes) {
        layer_.state_ = peer_state::SLOW;
        return true;
    }
    since_ms_ = now;
    received_ = 0;
    return false;
}

bool peer_connection::wait(short events)
{
    bool ready = false;
    while (!ready) {
        if (is_idle_ && options_.stop != nullptr && *options_.stop != 0) {
            layer_.state_ = peer_state::STOPPED;
            break;
        }
        const int64_t now = sctd_boot_ms();
        if (now >= deadline() && overdue(now)) {
            break;
        }
        const int64_t left = std::max<int64_t>(deadline() - now, 0);
        const struct timespec timeout = {static_cast<time_t>(left / 1000),
                                         static_cast<long>(left % 1000) * 1000000};
        struct pollfd p = {getSocket(), events, 0};
        const int n = ppoll(&p, 1, &timeout, &unblocked_);
        if (n < 0 && errno != EINTR) {
            layer_.state_ = peer_state::LOST;
            break;
        }
        ready = n > 0;
    }
    return ready;
}

void peer_connection::count(std::size_t n)
{
    if (is_idle_) {
        is_idle_ = false;
        since_ms_ = sctd_boot_ms();
        received_ = 0;
    }
    received_ += static_cast<int64_t>(n);
}

/* Something into the empty buffer. */
bool peer_connection::fill()
{
    for (;;) {
        const ssize_t n = recv(getSocket(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (n > 0) {
            begin_ = 0;
            end_ = static_cast<std::size_t>(n);
            count(end_);
            acknowledge_at_once();
            return true;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            layer_.state_ = peer_state::LOST;
            return false;
        }
        if (!wait(POLLIN)) {
            return false;
        }
    }
}

ssize_t peer_connection::read(void *buf, size_t nbyte)
{
    if (layer_.state_ != peer_state::OPEN) {
        return fail(layer_.state_);
    }
    if (begin_ == end_ && !fill()) {
        return fail(layer_.state_);
    }
    const std::size_t n = std::min(nbyte, end_ - begin_);
    std::memcpy(buf, buffer_.data() + begin_, n);
    begin_ += n;
    return static_cast<ssize_t>(n);
}

ssize_t peer_connection::write(void *buf, size_t nbyte)
{
    const auto *p = static_cast<const unsigned char *>(buf);
    const int64_t until = sctd_boot_ms() + options_.window_ms;
    std::size_t left = nbyte;
    while (left > 0) {
        const ssize_t n = send(getSocket(), p, left, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            p += n;
            left -= static_cast<std::size_t>(n);
            /* Who is still being told something is not silent. */
            since_ms_ = is_idle_ ? sctd_boot_ms() : since_ms_;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return fail(peer_state::LOST);
        }
        struct pollfd out = {getSocket(), POLLOUT, 0};
        const int64_t wait_ms = until - sctd_boot_ms();
        if (wait_ms <= 0) {
            return fail(peer_state::SLOW);
        }
        (void)poll(&out, 1, static_cast<int>(wait_ms));
    }
    acknowledge_at_once();
    return static_cast<ssize_t>(nbyte);
}

OFBool peer_connection::networkDataAvailable(int timeout)
{
    if (layer_.state_ != peer_state::OPEN) {
        return OFTrue; /* reading tells the end, which DCMTK would wait for after its abort */
    }
    struct pollfd p = {getSocket(), POLLIN, 0};
    const struct timespec limit = {timeout, 0};
    return begin_ < end_ || ppoll(&p, 1, &limit, &unblocked_) > 0 ? OFTrue : OFFalse;
}

void peer_connection::close()
{
    closeTransportConnection();
}

void peer_connection::closeTransportConnection()
{
    hang_up();
}

/* Closing with bytes unread would reset the connection, and the peer lose what was sent last. */
void peer_connection::hang_up()
{
    const DcmNativeSocketType fd = getSocket();
    if (fd < 0) {
        return;
    }
    if (layer_.state_ != peer_state::OPEN && layer_.state_ != peer_state::LOST) {
        (void)send(fd, abort_pdu.data(), abort_pdu.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    (void)shutdown(fd, SHUT_WR);
    const int64_t until = sctd_boot_ms() + linger_ms;
    for (int64_t left = linger_ms; left > 0; left = until - sctd_boot_ms()) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, static_cast<int>(left)) <= 0 ||
            recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT) <= 0) {
            break;
        }
    }
    (void)::close(fd);
    setSocket(-1);
}

OFCondition peer_connection::serverSideHandshake()
{
    return EC_Normal;
}

OFCondition peer_connection::clientSideHandshake()
{
    return EC_Normal;
}

OFCondition peer_connection::renegotiate(const char * /*newSuite*/)
{
    return EC_Normal;
}

unsigned long peer_connection::getPeerCertificate(void * /*buf*/, unsigned long /*bufLen*/)
{
    return 0;
}

OFString &peer_connection::dumpConnectionParameters(OFString &str)
{
    str = "TCP";
    return str;
}

peer_layer::peer_layer(const struct dicom_receiver_options &options) : options_(options)
{
}

peer_layer::~peer_layer()
{
    if (adopted_ >= 0) {
        (void)::close(adopted_);
    }
}

void peer_layer::adopt(int fd)
{
    adopted_ = fd;
}

DcmTransportConnection *peer_layer::createConnection(DcmNativeSocketType openSocket,
                                                     OFBool /*useSecureLayer*/)
{
    if (adopted_ >= 0) {
        if (dup3(adopted_, openSocket, O_CLOEXEC) < 0) {
            return nullptr;
        }
        (void)::close(adopted_);
        adopted_ = -1;
    }
    connection_ = new peer_connection(openSocket, *this);
    was_connected_ = true;
    return connection_;
}

void peer_layer::settle()
{
    if (connection_ != nullptr) {
        connection_->settle();
    }
}
