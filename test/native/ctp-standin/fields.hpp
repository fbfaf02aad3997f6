// Filling vendor structures from words.
#pragma once

#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

namespace standin {

/// Without a terminating NUL when the text fills the field, as fixed fields are.
template <std::size_t size>
void fill(char (&field)[size], const std::string& text) {
  std::memset(field, 0, size);
  std::memcpy(field, text.data(), text.size() < size ? text.size() : size);
}

inline double number(const std::string& text) {
  if (text == "max") return std::numeric_limits<double>::max();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  return std::strtod(text.c_str(), nullptr);
}

/// The text of a vendor field, which need not be terminated.
template <std::size_t size>
std::string text(const char (&field)[size]) {
  return std::string(field, strnlen(field, size));
}

/// NULL when scripted so: a real library leaves the info out of a success.
template <class Info>
Info* infoOrNull(Info& info, const std::string& error, const std::string& message) {
  if (error == "null") return nullptr;
  info.ErrorID = std::atoi(error.c_str());
  fill(info.ErrorMsg, message);
  return &info;
}

}  // namespace standin
