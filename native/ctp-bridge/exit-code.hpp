// How a bridge ends, in the numbers of sysexits.h. The supervisor's words for them are in
// src/adapters/feeds/ctp/bridge-exit.ts.
#pragma once

namespace exitCode {

constexpr int done = 0;
/// Run by hand without the descriptors it needs, or with an unknown option.
constexpr int usage = 64;
/// The vendor library can't be loaded, or lacks the factory that the headers declare.
constexpr int library = 69;
/// The vendor library threw.
constexpr int vendor = 70;
/// The system refused what the bridge itself needs: a file descriptor, reading stdin.
constexpr int system = 71;
/// Nobody reads fd 3.
constexpr int pipe = 74;
/// Another bridge works in the flow directory: over by itself when that one ends.
constexpr int busy = 75;
/// stdin does not speak the bridge protocol.
constexpr int protocol = 76;
/// Another library than the one the bridge was built for, a malformed front address, an unusable flow directory.
constexpr int refused = 78;

}  // namespace exitCode
