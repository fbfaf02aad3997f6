// A client that trusts the vendor library with whatever it was given: shows that the stand-in dies in the ways the
// bridge guards against.
// usage: naive-client LIBRARY FLOW FRONT init|release
#include <cstdio>
#include <dlfcn.h>
#include <unistd.h>

#include "ThostFtdcMdApi.h"

#if STANDIN_SHAPE >= 60711
using Factory = CThostFtdcMdApi* (*)(const char*, bool, bool, bool);
const char* const factorySymbol = "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbbb";
CThostFtdcMdApi* create(Factory factory, const char* flow) { return factory(flow, false, false, true); }
#else
using Factory = CThostFtdcMdApi* (*)(const char*, bool, bool);
const char* const factorySymbol = "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb";
CThostFtdcMdApi* create(Factory factory, const char* flow) { return factory(flow, false, false); }
#endif

int main(int count, char** arguments) {
  if (count != 5) return 64;
  void* library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return 69;
  CThostFtdcMdApi* api = create(reinterpret_cast<Factory>(dlsym(library, factorySymbol)), arguments[2]);
  api->RegisterSpi(new CThostFtdcMdSpi);
  api->RegisterFront(arguments[3]);
  api->Init();
  if (arguments[4][0] == 'r') {
    alarm(1);
    api->Release();
  }
  _exit(0);
}
