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
    if (!letter && !isDigit(c) && c != '-' && c != '.') return false;
    if ((c == '.' || c == '-') && before == '.') return false;
    letters = letters || letter;
    before = c;
  }
  // Digits and dots only is a mistyped IPv4 address, not a name.
  return letters && before != '.' && before != '-';
}

}  // namespace

bool wellFormed(std::string_view address) {
  if (address.size() > lengthMax) return false;
  const std::size_t scheme = address.find("://");
  const std::size_t colon = address.rfind(':');
  if (scheme == std::string_view::npos || colon <= scheme + 3) return false;
  const std::string_view protocol = address.substr(0, scheme);
  std::string_view host = address.substr(scheme + 3, colon - scheme - 3);
  if (!isPort(address.substr(colon + 1))) return false;
  if (protocol == "tcp6") {
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return isAddress(AF_INET6, host);
  }
  return (protocol == "tcp" || protocol == "ssl") && (isAddress(AF_INET, host) || isHostName(host));
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
