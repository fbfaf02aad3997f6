// What the vendor's headers declare, found out from the declarations themselves and never from a version number: how
// the factories are called (and so mangled), whether ids are wide, which fields exist. Layouts that we know are
// asserted: a header that was damaged by its encoding, or one of another platform, must not compile.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include "wire.hpp"

#include <ThostFtdcMdApi.h>

#if __has_include(<ThostFtdcTraderApi.h>)
#include <ThostFtdcTraderApi.h>
#define CTP_BRIDGE_HAS_TRADER 1
#else
#define CTP_BRIDGE_HAS_TRADER 0
#endif

namespace vendor {

/// A factory by its signature. A signature that is not listed is an SDK we have never seen, and stops the compiler.
template <class Function>
struct MdFactory;

template <>
struct MdFactory<CThostFtdcMdApi*(const char*, bool, bool)> {
  static constexpr const char* symbol = "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb";
  static constexpr bool choosesProduction = false;
  using Pointer = CThostFtdcMdApi* (*)(const char*, bool, bool);
  static CThostFtdcMdApi* create(Pointer factory, const char* flow, bool) { return factory(flow, false, false); }
};

template <>
struct MdFactory<CThostFtdcMdApi*(const char*, bool, bool, bool)> {
  static constexpr const char* symbol = "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbbb";
  static constexpr bool choosesProduction = true;
  using Pointer = CThostFtdcMdApi* (*)(const char*, bool, bool, bool);
  static CThostFtdcMdApi* create(Pointer factory, const char* flow, bool production) {
    return factory(flow, false, false, production);
  }
};

using Md = MdFactory<decltype(CThostFtdcMdApi::CreateFtdcMdApi)>;
constexpr const char* mdVersionSymbol = "_ZN15CThostFtdcMdApi13GetApiVersionEv";

#if CTP_BRIDGE_HAS_TRADER
template <class Function>
struct TraderFactory;

template <>
struct TraderFactory<CThostFtdcTraderApi*(const char*)> {
  static constexpr const char* symbol = "_ZN19CThostFtdcTraderApi19CreateFtdcTraderApiEPKc";
  using Pointer = CThostFtdcTraderApi* (*)(const char*);
  static CThostFtdcTraderApi* create(Pointer factory, const char* flow, bool) { return factory(flow); }
};

template <>
struct TraderFactory<CThostFtdcTraderApi*(const char*, bool)> {
  static constexpr const char* symbol = "_ZN19CThostFtdcTraderApi19CreateFtdcTraderApiEPKcb";
  using Pointer = CThostFtdcTraderApi* (*)(const char*, bool);
  static CThostFtdcTraderApi* create(Pointer factory, const char* flow, bool production) {
    return factory(flow, production);
  }
};

using Trader = TraderFactory<decltype(CThostFtdcTraderApi::CreateFtdcTraderApi)>;
constexpr const char* traderVersionSymbol = "_ZN19CThostFtdcTraderApi13GetApiVersionEv";
#endif

template <class Row, class = void>
struct HasBanding : std::false_type {};
template <class Row>
struct HasBanding<Row, std::void_t<decltype(Row::BandingUpperPrice), decltype(Row::BandingLowerPrice)>>
    : std::true_type {};

template <class Row>
double bandingUpper(const Row& row) {
  if constexpr (HasBanding<Row>::value) return row.BandingUpperPrice;
  return std::numeric_limits<double>::quiet_NaN();
}

template <class Row>
double bandingLower(const Row& row) {
  if constexpr (HasBanding<Row>::value) return row.BandingLowerPrice;
  return std::numeric_limits<double>::quiet_NaN();
}

using Depth = CThostFtdcDepthMarketDataField;
constexpr bool wideIds = sizeof(TThostFtdcInstrumentIDType) == 81;
static_assert(wideIds || sizeof(TThostFtdcInstrumentIDType) == 31, "instrument ids of an unknown width");

// Prices never moved in any version seen; the id fields did, and new fields are appended.
static_assert(offsetof(Depth, TradingDay) == 0);
static_assert(offsetof(Depth, LastPrice) == 80);
static_assert(offsetof(Depth, PreSettlementPrice) == 88);
static_assert(offsetof(Depth, PreClosePrice) == 96);
static_assert(offsetof(Depth, PreOpenInterest) == 104);
static_assert(offsetof(Depth, OpenPrice) == 112);
static_assert(offsetof(Depth, HighestPrice) == 120);
static_assert(offsetof(Depth, LowestPrice) == 128);
static_assert(offsetof(Depth, Volume) == 136);
static_assert(offsetof(Depth, Turnover) == 144);
static_assert(offsetof(Depth, OpenInterest) == 152);
static_assert(offsetof(Depth, ClosePrice) == 160);
static_assert(offsetof(Depth, SettlementPrice) == 168);
static_assert(offsetof(Depth, UpperLimitPrice) == 176);
static_assert(offsetof(Depth, LowerLimitPrice) == 184);
static_assert(offsetof(Depth, UpdateTime) == 208);
static_assert(offsetof(Depth, UpdateMillisec) == 220);
static_assert(offsetof(Depth, BidPrice1) == 224);
static_assert(offsetof(Depth, AskVolume5) == 376);
static_assert(offsetof(Depth, AveragePrice) == 384);
static_assert(offsetof(Depth, ActionDay) == 392);
static_assert(offsetof(Depth, InstrumentID) == (wideIds ? 401 : 9));
static_assert(wideIds ? sizeof(Depth) >= (HasBanding<Depth>::value ? 584 : 568) : sizeof(Depth) == 408);
static_assert(wideIds ? sizeof(CThostFtdcReqUserLoginField) >= 264 : sizeof(CThostFtdcReqUserLoginField) == 228);
static_assert(sizeof(CThostFtdcRspUserLoginField) >= 156);
static_assert(sizeof(CThostFtdcSpecificInstrumentField) == (wideIds ? 112 : 31));
static_assert(sizeof(CThostFtdcRspInfoField) == 88 && offsetof(CThostFtdcRspInfoField, ErrorMsg) == 4);
#if CTP_BRIDGE_HAS_TRADER
static_assert(sizeof(CThostFtdcInstrumentField) >= (wideIds ? 616 : 296));
static_assert(offsetof(CThostFtdcInstrumentField, VolumeMultiple) == 148);
static_assert(offsetof(CThostFtdcInstrumentField, PriceTick) == 152);
#endif

/// A response without info is a success.
inline int errorId(const CThostFtdcRspInfoField* info) { return info == nullptr ? 0 : info->ErrorID; }

/// GBK bytes, perhaps cut in the middle of a character.
inline std::string_view errorText(const CThostFtdcRspInfoField* info) {
  return info == nullptr ? std::string_view{} : wire::textOf(info->ErrorMsg);
}

/// A vendor structure that holds a secret: wiped when the call that needed it is over.
template <class Field>
struct Secret {
  Field field{};
  Secret() = default;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { explicit_bzero(&field, sizeof field); }
};

/// Copies a text to a vendor field. A text that does not fit is refused: a cut password is a wrong password.
template <std::size_t size>
bool fill(char (&field)[size], std::string_view text) {
  if (text.size() >= size) return false;
  std::memset(field, 0, size);
  text.copy(field, text.size());
  return true;
}

/// False when a text is longer than the vendor's field.
inline bool fillLogin(CThostFtdcReqUserLoginField& field, const wire::Command& command) {
  return fill(field.BrokerID, command.option("broker")) && fill(field.UserID, command.option("user")) &&
         fill(field.Password, command.option("password"));
}

constexpr const char* loginTooLong = "a login text is longer than the vendor's field";
constexpr const char* loginRemedy = "Correct broker id, user id or password in the configuration.";

}  // namespace vendor
