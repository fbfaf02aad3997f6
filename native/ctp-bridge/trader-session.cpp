// The trading session, short-lived and in its own process: authenticate, login, query instruments, tell product status.
// It names no function that could place or change an order, move money or confirm a settlement, and a test keeps it so.
#include "build-record.hpp"
#include "exit-code.hpp"
#include "session.hpp"
#include "vendor-shape.hpp"
#include "vendor-slots.hpp"

LibraryRecord traderLibraryRecord() { return buildRecord::trader; }

#if CTP_BRIDGE_HAS_TRADER

namespace {

class TraderSession final : public Session, public CThostFtdcTraderSpi {
 public:
  using Session::Session;

  std::optional<Refusal> start(const StartOptions& options) override {
    std::optional<Refusal> refusal;
    const LoadedLibrary library = loadTraderLibrary(options.library, refusal);
    if (refusal) return refusal;
    auto factory = reinterpret_cast<vendor::Trader::Pointer>(library.factory);
    CThostFtdcTraderApi* created = vendor::Trader::create(factory, options.flowDirectory.c_str(), options.production);
    if (created == nullptr) return noObject("trader");
    created->RegisterSpi(this);
    // Without these calls the day's orders and trades of the account would be replayed to us.
    created->SubscribePrivateTopic(THOST_TERT_QUICK);
    created->SubscribePublicTopic(options.wholeStatusDay ? THOST_TERT_RESTART : THOST_TERT_QUICK);
    for (std::string front : options.fronts) created->RegisterFront(front.data());
    api = created;
    created->Init();
    return std::nullopt;
  }

  void authenticate(const wire::Command& command) override {
    vendor::Secret<CThostFtdcReqAuthenticateField> authentication;
    auto& field = authentication.field;
    const bool fits = vendor::fill(field.BrokerID, command.option("broker")) &&
                      vendor::fill(field.UserID, command.option("user")) &&
                      vendor::fill(field.AppID, command.option("app_id")) &&
                      vendor::fill(field.AuthCode, command.option("auth_code"));
    if (!fits) {
      return refused(command, "an authentication text is longer than the vendor's field",
                     "Correct broker id, user id, app id or auth code.");
    }
    requested(command, api->ReqAuthenticate(&field, command.request()));
  }

  void login(const wire::Command& command) override {
    vendor::Secret<CThostFtdcReqUserLoginField> login;
    if (!vendor::fillLogin(login.field, command)) return refused(command, vendor::loginTooLong, vendor::loginRemedy);
    requested(command, api->ReqUserLogin(&login.field, command.request()));
  }

  void queryInstruments(const wire::Command& command) override {
    // Empty: everything.
    CThostFtdcQryInstrumentField everything{};
    rows = 0;
    requested(command, api->ReqQryInstrument(&everything, command.request()));
  }

  void OnFrontConnected() override { outbox.message(wire::Type::connected, {}); }

  void OnFrontDisconnected(int reason) override { outbox.message(wire::Type::disconnected, {reason}); }

  void OnRspAuthenticate(CThostFtdcRspAuthenticateField*, CThostFtdcRspInfoField* info, int request, bool) override {
    outbox.message(wire::Type::authenticated, {vendor::errorId(info), request, {vendor::errorText(info)}});
  }

  void OnRspUserLogin(CThostFtdcRspUserLoginField* row, CThostFtdcRspInfoField* info, int request, bool) override {
    std::string_view tradingDay = row == nullptr ? std::string_view{} : wire::textOf(row->TradingDay);
    if (tradingDay.empty() && vendor::errorId(info) == 0) {
      if (const char* day = api->GetTradingDay()) tradingDay = day;
    }
    outbox.message(wire::Type::loggedIn, {vendor::errorId(info), request, {vendor::errorText(info), tradingDay}});
  }

  void OnRspQryInstrument(CThostFtdcInstrumentField* row, CThostFtdcRspInfoField* info, int request,
                          bool isLast) override {
    // An empty result is a last row without a row.
    if (row != nullptr && vendor::errorId(info) == 0) {
      rows++;
      outbox.message(
          wire::Type::catalogueRow,
          {0,
           request,
           {wire::textOf(row->InstrumentID), wire::textOf(row->ExchangeID), wire::textOf(row->ProductID),
            std::string_view(&row->ProductClass, row->ProductClass == '\0' ? 0 : 1), wire::textOf(row->InstrumentName),
            wire::textOf(row->ExpireDate), wire::textOf(row->UnderlyingInstrID), wire::textOf(row->OpenDate)},
           {static_cast<double>(row->VolumeMultiple), wire::present(row->PriceTick), row->IsTrading != 0 ? 1.0 : 0.0}});
    }
    if (!isLast) return;
    outbox.message(wire::Type::catalogueEnd,
                   {vendor::errorId(info), request, {vendor::errorText(info)}, {static_cast<double>(rows)}});
    rows = 0;
  }

  void OnRspError(CThostFtdcRspInfoField* info, int request, bool) override {
    outbox.message(wire::Type::frontError, {vendor::errorId(info), request, {vendor::errorText(info)}});
  }

  void OnRtnInstrumentStatus(CThostFtdcInstrumentStatusField* row) override {
    if (row == nullptr) return;
    outbox.message(wire::Type::productStatus,
                   {row->InstrumentStatus,
                    0,
                    {wire::textOf(row->ExchangeID), wire::textOf(row->InstrumentID), wire::textOf(row->EnterTime)}});
  }

 private:
  CThostFtdcTraderApi* api = nullptr;
  /// Rows of the query under way. The vendor allows one at a time.
  std::atomic<int> rows{0};
};

}  // namespace

LoadedLibrary loadTraderLibrary(const std::string& given, std::optional<Refusal>& refusal) {
  const LibraryRecord record = traderLibraryRecord();
  LoadedLibrary library = loadLibrary(libraryPath(given, record, "thosttraderapi_se.so"), record,
                                      vendor::Trader::symbol, vendor::traderVersionSymbol, refusal);
  if (!refusal) refusal = slots::wrongTrader(library.apiVersion);
  return library;
}

Session& traderSession(Outbox& outbox) {
  // Never destroyed: the vendor's threads call it until the process ends.
  static auto* session = new TraderSession(outbox);
  return *session;
}

#else

namespace {

const Refusal withoutTrader{
    exitCode::refused, "this bridge was built from an SDK without ThostFtdcTraderApi.h",
    "Build it from an SDK directory that holds the trader headers and library, or use a catalogue file."};

class NoTraderSession final : public Session {
 public:
  using Session::Session;
  std::optional<Refusal> start(const StartOptions&) override { return withoutTrader; }
  void login(const wire::Command& command) override { notMine(command); }
};

}  // namespace

LoadedLibrary loadTraderLibrary(const std::string&, std::optional<Refusal>& refusal) {
  refusal = withoutTrader;
  return {};
}

Session& traderSession(Outbox& outbox) {
  static auto* session = new NoTraderSession(outbox);
  return *session;
}

#endif
