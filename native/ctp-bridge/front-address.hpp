// Is this a front address that may be shown to the vendor library? Some libraries die of SIGSEGV on a malformed one, so
// nothing but the documented forms passes: tcp://host:port, ssl://host:port, tcp6://address:port, each perhaps followed
// by a space and a SOCKS proxy. src/config/front-address.ts checks the same, this is the second line of defence; one
// table tests both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace frontAddress {

constexpr std::size_t countMax = 16;

bool wellFormed(std::string_view address);

/// Lines of `text`, empty ones left out.
std::vector<std::string> lines(std::string_view text);

}  // namespace frontAddress
