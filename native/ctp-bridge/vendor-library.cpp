#include "vendor-library.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <sys/stat.h>

#include "exit-code.hpp"
#include "sha256.hpp"

namespace {

bool isDirectory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool isFile(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

std::string realPath(const std::string& path) {
  char* const resolved = realpath(path.c_str(), nullptr);
  const std::string real = resolved == nullptr ? path : resolved;
  std::free(resolved);
  return real;
}

const char* const rebuild =
    "Build the bridge again: npm run build:ctp-bridge -- --sdk DIR, with the SDK directory that this library came in.";

}  // namespace

LooseVersion looseVersion(const std::string& text) {
  const auto digits = [&](std::size_t at) {
    std::size_t end = at;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') end++;
    return end;
  };
  const auto number = [&](std::size_t from, std::size_t to) { return std::atoi(text.substr(from, to - from).c_str()); };
  for (std::size_t at = 0; at < text.size(); at++) {
    const std::size_t major = digits(at);
    if (major == at || major >= text.size() || (text[major] != '.' && text[major] != '_')) continue;
    const std::size_t minor = digits(major + 1);
    if (minor == major + 1 || minor >= text.size() || (text[minor] != '.' && text[minor] != '_')) continue;
    const std::size_t patch = digits(minor + 1);
    if (patch == minor + 1) continue;
    return {number(at, major), number(major + 1, minor), number(minor + 1, patch)};
  }
  return {};
}

std::string libraryPath(const std::string& given, const LibraryRecord& record, const std::string& fileName) {
  if (given.empty()) return record.path;
  if (!isDirectory(given)) return given;
  const std::string plain = given + "/" + fileName;
  return isFile(plain) ? plain : given + "/lib" + fileName;
}

LoadedLibrary loadLibrary(const std::string& given, const LibraryRecord& record, const char* factorySymbol,
                          const char* versionSymbol, std::optional<Refusal>& refusal) {
  LoadedLibrary library;
  // One file for all that follows: without a slash in its name dlopen would search elsewhere than we read.
  const std::string path = realPath(given);
  library.path = path;
  if (record.sha256[0] == '\0') {
    refusal = Refusal{exitCode::refused, "this bridge was built without that library",
                      "Build the bridge from an SDK directory that holds both libraries and their headers."};
    return library;
  }
  const std::string sha256 = sha256OfFile(path);
  if (sha256.empty()) {
    refusal = Refusal{exitCode::library, "can't read the library " + path,
                      "Set CTP_SDK_LIB_DIR to the directory of the SDK, or build the bridge again."};
    return library;
  }
  if (sha256 != record.sha256) {
    refusal = Refusal{exitCode::refused,
                      path + " is not the library this bridge was built for (" + record.apiVersion +
                          "): its SHA-256 is " + sha256 + " instead of " + record.sha256,
                      rebuild};
    return library;
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    refusal = Refusal{exitCode::library, std::string("can't load the library: ") + dlerror(),
                      "Install what the message names as missing, or use the SDK made for this system."};
    return library;
  }
  library.factory = dlsym(handle, factorySymbol);
  if (library.factory == nullptr) {
    refusal = Refusal{exitCode::library, path + " lacks " + factorySymbol + ", which its headers declare",
                      "Headers and library come from different SDKs: take both from one archive and build again."};
    return library;
  }
  using Version = const char* (*)();
  if (auto version = reinterpret_cast<Version>(dlsym(handle, versionSymbol))) {
    if (const char* text = version()) library.apiVersion = text;
  }
  if (looseVersion(library.apiVersion) != looseVersion(record.apiVersion)) {
    refusal = Refusal{exitCode::refused,
                      path + " says it is version '" + library.apiVersion + "', but the bridge was built for '" +
                          record.apiVersion + "'",
                      rebuild};
  }
  return library;
}
