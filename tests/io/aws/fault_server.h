// An HTTP server on loopback that answers as a script says, faults included: what it sends are raw bytes.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace aid::io::aws::test {

struct Reply {
  std::string bytes;          // raw; empty: the connection is closed without an answer
  bool reset = false;         // closed by a reset after the bytes
  int drip_milliseconds = 0;  // between single bytes
};

inline std::string answer(int status, const std::string& headers, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + body;
}

class FaultServer {
 public:
  // Gets a request, head and body, and the count of requests before it; called on the connections' threads, one at a
  // time.
  using Script = std::function<Reply(const std::string& request, int count)>;

  explicit FaultServer(Script script) : script_(std::move(script)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_, 64) != 0) {
      throw std::system_error(errno, std::generic_category(), "no port on the loopback");
    }
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~FaultServer() {
    stopping_ = true;
    thread_.join();
    for (std::thread& thread : connections_) thread.join();
    ::close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int count() const { return count_; }
  // The most requests that were under way together since the last reset.
  int most_at_once() const { return most_at_once_; }
  void reset_most_at_once() { most_at_once_ = 0; }

 private:
  void accept_all() {
    while (!stopping_) {
      pollfd ready = {.fd = listener_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const int socket = ::accept(listener_, nullptr, nullptr);
      if (socket >= 0) connections_.emplace_back([this, socket] { serve(socket); });
    }
  }

  bool wait(int socket) const {
    while (!stopping_) {
      pollfd ready = {.fd = socket, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 20) > 0) return true;
    }
    return false;
  }

  // The head, and the body that Content-Length announces; empty where the connection ends.
  std::string read_request(int socket, std::string& buffer) const {
    char bytes[65536];
    const auto more = [&] {
      const ssize_t got = wait(socket) ? ::recv(socket, bytes, sizeof bytes, 0) : 0;
      if (got > 0) buffer.append(bytes, static_cast<std::size_t>(got));
      return got > 0;
    };
    std::size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return "";
    }
    const std::size_t length = buffer.find("Content-Length: ");
    const std::size_t size = end + 4 + (length < end ? std::stoul(buffer.substr(length + 16)) : 0);
    while (buffer.size() < size) {
      if (!more()) return "";
    }
    std::string request = buffer.substr(0, size);
    buffer.erase(0, size);
    return request;
  }

  void serve(int socket) {
    std::string buffer;
    for (std::string request; !(request = read_request(socket, buffer)).empty();) {
      Reply reply;
      ++at_once_;
      {
        const std::lock_guard lock(mutex_);
        reply = script_(request, count_++);
        most_at_once_ = std::max<int>(most_at_once_, at_once_);
      }
      if (reply.drip_milliseconds > 0) {
        for (const char c : reply.bytes) {
          if (stopping_ || ::send(socket, &c, 1, MSG_NOSIGNAL) != 1) break;
          std::this_thread::sleep_for(std::chrono::milliseconds(reply.drip_milliseconds));
        }
      } else {
        ::send(socket, reply.bytes.data(), reply.bytes.size(), MSG_NOSIGNAL);
      }
      --at_once_;
      if (reply.reset) {
        const linger now = {.l_onoff = 1, .l_linger = 0};
        ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      }
      // A body shorter than announced is only seen as such where the connection ends.
      const std::size_t announced = reply.bytes.find("Content-Length: ");
      const std::size_t start = reply.bytes.find("\r\n\r\n");
      const bool whole = announced != std::string::npos && start != std::string::npos &&
                         (request.starts_with("HEAD") ||
                          std::stoul(reply.bytes.substr(announced + 16)) == reply.bytes.size() - start - 4);
      if (reply.reset || !whole) break;
    }
    ::close(socket);
  }

  Script script_;
  int listener_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> count_{0}, at_once_{0}, most_at_once_{0};
  std::mutex mutex_;
  std::vector<std::thread> connections_;
  std::thread thread_;
};

}  // namespace aid::io::aws::test
