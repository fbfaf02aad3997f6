#include "front-address.hpp"

#include <arpa/inet.h>

namespace frontAddress {

namespace {

constexpr std::size_t lengthMax = 255;

bool isDigit(char c) { return c >= '0' && c <= '9'; }

bool isPort(std::string_view text) {
  if (text.empty() || text.size() > 5 || text.front() == '0') return false;
  unsigned port = 0;
  for (char c : text) {
    if (!isDigit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port <= 65'535;
}

bool isAddress(int family, std::string_view text) {
  unsigned char binary[sizeof(in6_addr)];
  return inet_pton(family, std::string(text).c_str(), binary) == 1;
}

bool isHostName(std::string_view text) {
  bool letters = false;
  char before = '.';
  for (char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !isDigit(c) && c != '-' && c != '.' && c != '_') return false;
    // A label begins and ends with a letter or a digit.
    if (!letter && !isDigit(c) && before == '.') return false;
    if (c == '.' && (before == '-' || before == '_')) return false;
    letters = letters || letter || c == '-' || c == '_';
    before = c;
  }
  // Digits and dots only is a mistyped IPv4 address, not a name.
  return letters && before != '.' && before != '-' && before != '_';
}

bool isHost(std::string_view text) { return isAddress(AF_INET, text) || isHostName(text); }

struct Parts {
  std::string_view scheme;
  std::string_view host;
};

/// Scheme and host of `scheme://host:port`; an empty scheme when it is not of that form.
Parts partsOf(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t colon = url.rfind(':');
  if (scheme == std::string_view::npos || colon <= scheme + 3 || !isPort(url.substr(colon + 1))) return {};
  return {url.substr(0, scheme), url.substr(scheme + 3, colon - scheme - 3)};
}

bool isFront(std::string_view url) {
  Parts parts = partsOf(url);
  if (parts.scheme != "tcp6") return (parts.scheme == "tcp" || parts.scheme == "ssl") && isHost(parts.host);
  if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']')
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  return isAddress(AF_INET6, parts.host);
}

bool isProxy(std::string_view url) {
  const Parts parts = partsOf(url);
  return (parts.scheme == "socks4" || parts.scheme == "socks4a" || parts.scheme == "socks5") && isHost(parts.host);
}

}  // namespace

bool wellFormed(std::string_view address) {
  if (address.size() > lengthMax) return false;
  const std::size_t space = address.find(' ');
  if (space == std::string_view::npos) return isFront(address);
  const std::size_t proxy = address.find_first_not_of(' ', space);
  return isFront(address.substr(0, space)) && proxy != std::string_view::npos && isProxy(address.substr(proxy));
}

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end != 0) found.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return found;
}

}  // namespace frontAddress
