// Loads the vendor's shared object, after making sure that it is the very one which the bridge was compiled for: header
// and library of different versions call each other's wrong virtual functions, and only one of all such borders shows
// in a symbol's name.
#pragma once

#include <array>
#include <optional>
#include <string>

/// What the build wrote down about one library; all empty when the SDK did not have it.
struct LibraryRecord {
  const char* path;
  const char* sha256;
  const char* apiVersion;
};

/// A fault the operator can mend, with the exit code that goes with it.
struct Refusal {
  int exitCode;
  std::string message;
  std::string remedy;
};

struct LoadedLibrary {
  std::string path;
  std::string apiVersion;
  void* factory = nullptr;
};

/// {6, 7, 7} of "v6.7.7_20240607 15:51:36" or "V6_6_7": vendors write it in many ways. Zeros when it is none.
using LooseVersion = std::array<int, 3>;
LooseVersion looseVersion(const std::string& text);

/// The file that `given` means: a file, or a directory that holds `fileName` with or without its `lib`; the recorded
/// one when empty.
std::string libraryPath(const std::string& given, const LibraryRecord& record, const std::string& fileName);

/// Loads the recorded library from `path` and looks up the factory. `refusal` is set when that is not possible or not
/// safe.
LoadedLibrary loadLibrary(const std::string& path, const LibraryRecord& record, const char* factorySymbol,
                          const char* versionSymbol, std::optional<Refusal>& refusal);
