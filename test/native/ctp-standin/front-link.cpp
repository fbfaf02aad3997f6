#include "front-link.hpp"

#include <arpa/inet.h>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace standin {

namespace {

std::string decoded(const std::string& word) {
  std::string text;
  for (std::size_t i = 0; i < word.size(); i++) {
    if (word[i] != '%') {
      text += word[i];
    } else if (i + 2 < word.size()) {
      text += static_cast<char>(std::strtol(word.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    }
  }
  return text;
}

Words wordsOf(const std::string& line) {
  Words words;
  std::size_t at = 0;
  while (at <= line.size()) {
    std::size_t end = line.find(' ', at);
    if (end == std::string::npos) end = line.size();
    if (end > at) words.push_back(decoded(line.substr(at, end - at)));
    at = end + 1;
  }
  return words;
}

int setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

/// Scripted instead of a return code.
constexpr int throws = std::numeric_limits<int>::min();

void pauseMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

std::string encoded(const std::string& text) {
  if (text.empty()) return "%";
  std::string word;
  for (unsigned char c : text) {
    if (std::isalnum(c) || std::strchr("_.:=+-", c)) {
      word += static_cast<char>(c);
    } else {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", c);
      word += hex;
    }
  }
  return word;
}

FrontLink::FrontLink(std::string greeting, Handlers handlers)
    : greeting(std::move(greeting)), handlers(std::move(handlers)) {}

void FrontLink::openFlowFiles(const char* flowPath) {
  for (const char* name : {"DialogRsp.con", "QueryRsp.con", "TradingDay.con"}) {
    const std::string path = std::string(flowPath) + name;
    std::FILE* file = std::fopen(path.c_str(), "ab");
    if (file == nullptr)
      throw std::runtime_error("RuntimeError:can not open CFlow file in line 279 of file ThostFtdcUserApiImplBase.cpp");
    std::fclose(file);
  }
}

void FrontLink::init() {
  for (const std::string& front : fronts) {
    // A library that looks for the port behind the last colon, and does not look whether there is one.
    const char* scheme = std::strstr(front.c_str(), "://");
    const char* port = scheme == nullptr ? nullptr : std::strchr(scheme + 3, ':');
    volatile char first = *(port == nullptr ? static_cast<const char*>(nullptr) : port);
    (void)first;
  }
  std::thread([this] { run(); }).detach();
}

void FrontLink::run() {
  const int retryMs = setting("STANDIN_RETRY_MS", 20);
  for (std::size_t next = 0;; next++) {
    // A front that refuses is tried again without a word.
    if (dial(fronts[next % fronts.size()])) {
      send(greeting);
      if (setting("STANDIN_EAGER", 0) != 0) {
        announced = true;
        handlers.connected();
      }
      readLines();
      drop(0x1001);
    }
    if (retryMs > 0) pauseMs(retryMs);
  }
}

bool FrontLink::dial(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const std::size_t host = address.find("://") + 3;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
  if (inet_pton(AF_INET, address.substr(host, colon - host).c_str(), &to.sin_addr) != 1) return false;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    close(fd);
    return false;
  }
  socketFd = fd;
  return true;
}

bool FrontLink::send(const std::string& line) {
  std::lock_guard<std::mutex> one(sending);
  const int fd = socketFd.load();
  const std::string bytes = line + "\n";
  std::size_t at = 0;
  while (fd >= 0 && at < bytes.size()) {
    const ssize_t sent = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return fd >= 0;
}

void FrontLink::readLines() {
  std::string held;
  char bytes[65'536];
  for (;;) {
    const int fd = socketFd.load();
    if (fd < 0) return;
    const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) return;
    held.append(bytes, static_cast<std::size_t>(got));
    std::size_t at = 0;
    for (std::size_t end; (end = held.find('\n', at)) != std::string::npos; at = end + 1) {
      obey(wordsOf(held.substr(at, end - at)));
      if (socketFd.load() < 0) return;
    }
    held.erase(0, at);
  }
}

void FrontLink::obey(const Words& words) {
  if (words.empty()) return;
  if (words[0] == "welcome") {
    announced = true;
    handlers.connected();
  } else if (words[0] == "drop") {
    drop(std::atoi(words[1].c_str()));
  } else if (words[0] == "return") {
    std::lock_guard<std::mutex> one(scripted);
    returns.emplace_back(words[1], words[2] == "throw" ? throws : std::atoi(words[2].c_str()));
    send("returning");
  } else if (words[0] == "noise") {
    std::printf("%s\n", words[1].c_str());
    std::fflush(stdout);
  } else if (words[0] == "crash") {
    if (words[1] == "throw") throw std::runtime_error("thrown by the library's own thread");
    if (words[1] == "abort") std::abort();
    raise(SIGSEGV);
  } else {
    handlers.command(words);
  }
}

void FrontLink::drop(int reason) {
  const int fd = socketFd.exchange(-1);
  if (fd >= 0) close(fd);
  if (announced.exchange(false)) handlers.disconnected(reason);
}

int FrontLink::returnCode(const std::string& function) {
  {
    std::lock_guard<std::mutex> one(scripted);
    for (std::size_t i = 0; i < returns.size(); i++) {
      if (returns[i].first != function) continue;
      const int code = returns[i].second;
      returns.erase(returns.begin() + static_cast<std::ptrdiff_t>(i));
      if (code == throws) throw std::runtime_error("thrown by " + function);
      return code;
    }
  }
  return isConnected() ? 0 : -1;
}

}  // namespace standin
