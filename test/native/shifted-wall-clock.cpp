// LD_PRELOAD for tests: shows a program another date. CLOCK_REALTIME is WALL_SHIFT_SECONDS away from the host's,
// CLOCK_MONOTONIC is the host's, so that stamps of several processes stay comparable.
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

#include <cstdlib>

namespace {

long long shiftSeconds() {
  static const long long seconds = [] {
    const char* text = std::getenv("WALL_SHIFT_SECONDS");
    return text == nullptr ? 0 : std::atoll(text);
  }();
  return seconds;
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  static const auto real = next<int (*)(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, out);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += shiftSeconds();
  return result;
}

extern "C" int gettimeofday(timeval* out, void* zone) noexcept {
  static const auto real = next<int (*)(timeval*, void*)>("gettimeofday");
  const int result = real(out, zone);
  if (result == 0) out->tv_sec += shiftSeconds();
  return result;
}

extern "C" time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
