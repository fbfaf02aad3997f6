// How a bridge ends, in the numbers of sysexits.h. The supervisor's words for them are in src/adapters/feeds/ctp/bridge-exit.ts.
#pragma once

namespace exitCode {

constexpr int done = 0;
/// Run by hand without the descriptors it needs, or with an unknown option.
constexpr int usage = 64;
/// The vendor library can't be loaded, or lacks the factory that the headers declare.
constexpr int library = 69;
/// The vendor library threw.
constexpr int vendor = 70;
/// Nobody reads fd 3.
constexpr int pipe = 74;
/// stdin does not speak the bridge protocol.
constexpr int protocol = 76;
/// Another library than the one the bridge was built for, a malformed front address, an unusable flow directory.
constexpr int refused = 78;

}  // namespace exitCode
