// SHA-256 (FIPS 180-4), so that the bridge can tell the library it was built for from any other without depending on
// one more.
#pragma once

#include <string>

/// Lower-case hex of a file's SHA-256, or "" when it can't be read.
std::string sha256OfFile(const std::string& path);
