// Do the headers that the bridge was compiled with have the functions we call, and those we are called by, at the slots
// of the virtual table where the library has them? A header line that was lost, in whatever way, moves every function
// behind it, and a call then lands in another one without a word. The numbers are those of docs/ctp-sdk.md's versions.
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "exit-code.hpp"
#include "vendor-library.hpp"
#include "vendor-shape.hpp"

namespace slots {

/// Slot of a virtual member function, as the x86-64 Itanium ABI keeps it in a pointer to it: 1 + 8 * slot. -1 when it
/// is not virtual.
template <class Function>
int of(Function member) {
  struct {
    std::ptrdiff_t pointer;
    std::ptrdiff_t adjustment;
  } parts;
  static_assert(sizeof parts == sizeof member, "pointers to members of another ABI");
  std::memcpy(&parts, &member, sizeof parts);
  return parts.pointer % 2 == 0 ? -1 : static_cast<int>((parts.pointer - 1) / static_cast<int>(sizeof(void*)));
}

struct Slot {
  const char* function;
  int compiled;
  int expected;
};

template <std::size_t count>
std::optional<Refusal> wrong(const Slot (&slots)[count]) {
  for (const Slot& slot : slots) {
    if (slot.compiled == slot.expected) continue;
    return Refusal{
        exitCode::refused,
        std::string("the headers have ") + slot.function + " at slot " + std::to_string(slot.compiled) +
            " of the virtual table, where libraries of this version have it at " + std::to_string(slot.expected),
        "The headers are damaged, or of another version than the library: take both from one archive, unpack "
        "it again without converting anything, and build again."};
  }
  return std::nullopt;
}

/// The api has not moved from 6.3.15 to 6.7.11; its callbacks moved once, together with the width of ids.
inline std::optional<Refusal> wrongMd() {
  using Api = CThostFtdcMdApi;
  using Spi = CThostFtdcMdSpi;
  const int moved = vendor::wideIds ? 1 : 0;
  return wrong({
      Slot{"SubscribeMarketData", of(&Api::SubscribeMarketData), 8},
      Slot{"UnSubscribeMarketData", of(&Api::UnSubscribeMarketData), 9},
      Slot{"ReqUserLogin", of(&Api::ReqUserLogin), 12},
      Slot{"OnRspUserLogin", of(&Spi::OnRspUserLogin), 3},
      Slot{"OnRspError", of(&Spi::OnRspError), 5 + moved},
      Slot{"OnRspSubMarketData", of(&Spi::OnRspSubMarketData), 6 + moved},
      Slot{"OnRtnDepthMarketData", of(&Spi::OnRtnDepthMarketData), 10 + moved},
  });
}

#if CTP_BRIDGE_HAS_TRADER
/// GetFrontInfo came before RegisterFront with 6.7.7, two more before ReqUserLogin and one before ReqQryInstrument
/// by 6.7.11.
inline std::optional<Refusal> wrongTrader(const std::string& apiVersion) {
  using Api = CThostFtdcTraderApi;
  using Spi = CThostFtdcTraderSpi;
  const int front = of(&Api::RegisterFront);
  const int login = of(&Api::ReqUserLogin);
  const LooseVersion version = looseVersion(apiVersion);
  const bool known = version != LooseVersion{};
  const bool hasFrontInfo = known ? version >= LooseVersion{6, 7, 7} : front == 5;
  // Between these two nobody has seen where they came in.
  const bool mayHaveMore = version >= LooseVersion{6, 7, 9} || !known;
  const bool hasMore = version >= LooseVersion{6, 7, 11} || (mayHaveMore && login == 16);
  const int first = hasFrontInfo ? 1 : 0;
  return wrong({
      Slot{"RegisterFront", front, 4 + first},
      Slot{"ReqAuthenticate", of(&Api::ReqAuthenticate), 10 + first},
      Slot{"ReqUserLogin", login, 13 + first + (hasMore ? 2 : 0)},
      Slot{"ReqQryInstrument", of(&Api::ReqQryInstrument), 50 + first + (hasMore ? 3 : 0)},
      Slot{"OnRspAuthenticate", of(&Spi::OnRspAuthenticate), 3},
      Slot{"OnRspUserLogin", of(&Spi::OnRspUserLogin), 4},
  });
}
#endif

}  // namespace slots
