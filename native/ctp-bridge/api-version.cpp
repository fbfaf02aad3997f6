// Prints what a vendor library says its version is. The build runs it, so that the version can be compiled into the
// bridge.
#include <cstdio>
#include <dlfcn.h>
#include <unistd.h>

int main(int count, char** arguments) {
  if (count != 3) return 64;
  void* handle = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    _exit(69);
  }
  using Version = const char* (*)();
  auto version = reinterpret_cast<Version>(dlsym(handle, arguments[2]));
  const char* text = version == nullptr ? nullptr : version();
  // Marked, because libraries print lines of their own.
  std::printf("\nAPI-VERSION %s\n", text == nullptr ? "" : text);
  std::fflush(stdout);
  _exit(0);
}
