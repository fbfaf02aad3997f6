// The market-data session: connect, login, subscribe, unsubscribe, and every answer and tick passed on as it came.
#include "build-record.hpp"
#include "exit-code.hpp"
#include "instrument-numbers.hpp"
#include "session.hpp"
#include "vendor-shape.hpp"
#include "vendor-slots.hpp"

namespace {

class MdSession final : public Session, public CThostFtdcMdSpi {
 public:
  using Session::Session;

  std::optional<Refusal> start(const StartOptions& options) override {
    std::optional<Refusal> refusal;
    const LoadedLibrary library = loadMdLibrary(options.library, refusal);
    if (refusal) return refusal;
    if (!vendor::Md::choosesProduction && !options.production) {
      outbox.message(wire::Type::log,
                     {0, 0, {"production_mode=0 has no effect: this SDK has one library per environment"}});
    }
    auto factory = reinterpret_cast<vendor::Md::Pointer>(library.factory);
    CThostFtdcMdApi* created = vendor::Md::create(factory, options.flowDirectory.c_str(), options.production);
    if (created == nullptr) return noObject("market-data");
    created->RegisterSpi(this);
    for (std::string front : options.fronts) created->RegisterFront(front.data());
    api = created;
    created->Init();
    return std::nullopt;
  }

  void login(const wire::Command& command) override {
    vendor::Secret<CThostFtdcReqUserLoginField> login;
    if (!vendor::fillLogin(login.field, command)) return refused(command, vendor::loginTooLong, vendor::loginRemedy);
    requested(command, api->ReqUserLogin(&login.field, command.request()));
  }

  void subscribe(const wire::Command& command) override {
    requested(command, pass(command, wire::Type::subscribed,
                            [this](char** ids, int count) { return api->SubscribeMarketData(ids, count); }));
  }

  void unsubscribe(const wire::Command& command) override {
    requested(command, pass(command, wire::Type::unsubscribed,
                            [this](char** ids, int count) { return api->UnSubscribeMarketData(ids, count); }));
  }

  void OnFrontConnected() override { outbox.message(wire::Type::connected, {}); }

  void OnFrontDisconnected(int reason) override { outbox.message(wire::Type::disconnected, {reason}); }

  void OnRspUserLogin(CThostFtdcRspUserLoginField* row, CThostFtdcRspInfoField* info, int request, bool) override {
    const std::string_view tradingDay = row == nullptr ? std::string_view{} : wire::textOf(row->TradingDay);
    outbox.message(wire::Type::loggedIn, {vendor::errorId(info), request, {vendor::errorText(info), tradingDay}});
  }

  void OnRspError(CThostFtdcRspInfoField* info, int request, bool) override {
    outbox.message(wire::Type::frontError, {vendor::errorId(info), request, {vendor::errorText(info)}});
  }

  void OnRspSubMarketData(CThostFtdcSpecificInstrumentField* row, CThostFtdcRspInfoField* info, int, bool) override {
    answer(wire::Type::subscribed, row, info);
  }

  void OnRspUnSubMarketData(CThostFtdcSpecificInstrumentField* row, CThostFtdcRspInfoField* info, int, bool) override {
    answer(wire::Type::unsubscribed, row, info);
  }

  void OnRtnDepthMarketData(CThostFtdcDepthMarketDataField* row) override {
    const wire::Moment now = momentNow();
    if (row == nullptr) return;
    const InstrumentNumbers::Entry* entry = number(wire::textOf(row->InstrumentID), wire::textOf(row->ExchangeID));
    if (entry == nullptr) return outbox.countUnplaced();
    wire::Tick tick;
    copyFields(tick, *row);
    tick.instrument = entry->number;
    tick.receivedWallMs = now.wallMs;
    tick.receivedMonotonicMs = now.monotonicMs;
    outbox.tick(tick);
  }

 private:
  static void copyFields(wire::Tick& tick, const CThostFtdcDepthMarketDataField& row) {
    wire::copyText(tick.tradingDay, row.TradingDay);
    wire::copyText(tick.actionDay, row.ActionDay);
    wire::copyText(tick.updateTime, row.UpdateTime);
    tick.updateMillisec = row.UpdateMillisec;
    tick.volume = row.Volume;
    double* const to = tick.doubles;
    to[wire::LastPrice] = wire::present(row.LastPrice);
    to[wire::PreSettlementPrice] = wire::present(row.PreSettlementPrice);
    to[wire::PreClosePrice] = wire::present(row.PreClosePrice);
    to[wire::PreOpenInterest] = wire::present(row.PreOpenInterest);
    to[wire::OpenPrice] = wire::present(row.OpenPrice);
    to[wire::HighestPrice] = wire::present(row.HighestPrice);
    to[wire::LowestPrice] = wire::present(row.LowestPrice);
    to[wire::Turnover] = wire::present(row.Turnover);
    to[wire::OpenInterest] = wire::present(row.OpenInterest);
    to[wire::ClosePrice] = wire::present(row.ClosePrice);
    to[wire::SettlementPrice] = wire::present(row.SettlementPrice);
    to[wire::UpperLimitPrice] = wire::present(row.UpperLimitPrice);
    to[wire::LowerLimitPrice] = wire::present(row.LowerLimitPrice);
    to[wire::BidPrice1] = wire::present(row.BidPrice1);
    to[wire::BidPrice2] = wire::present(row.BidPrice2);
    to[wire::BidPrice3] = wire::present(row.BidPrice3);
    to[wire::BidPrice4] = wire::present(row.BidPrice4);
    to[wire::BidPrice5] = wire::present(row.BidPrice5);
    to[wire::AskPrice1] = wire::present(row.AskPrice1);
    to[wire::AskPrice2] = wire::present(row.AskPrice2);
    to[wire::AskPrice3] = wire::present(row.AskPrice3);
    to[wire::AskPrice4] = wire::present(row.AskPrice4);
    to[wire::AskPrice5] = wire::present(row.AskPrice5);
    to[wire::AveragePrice] = wire::present(row.AveragePrice);
    to[wire::BandingUpperPrice] = wire::present(vendor::bandingUpper(row));
    to[wire::BandingLowerPrice] = wire::present(vendor::bandingLower(row));
    tick.bidVolumes[0] = row.BidVolume1;
    tick.bidVolumes[1] = row.BidVolume2;
    tick.bidVolumes[2] = row.BidVolume3;
    tick.bidVolumes[3] = row.BidVolume4;
    tick.bidVolumes[4] = row.BidVolume5;
    tick.askVolumes[0] = row.AskVolume1;
    tick.askVolumes[1] = row.AskVolume2;
    tick.askVolumes[2] = row.AskVolume3;
    tick.askVolumes[3] = row.AskVolume4;
    tick.askVolumes[4] = row.AskVolume5;
  }

  /// The number of an instrument; its definition frame goes out before anything can use the number.
  InstrumentNumbers::Entry* number(std::string_view id, std::string_view exchange) {
    return numbers.add(id, [&](const InstrumentNumbers::Entry& entry) {
      outbox.message(wire::Type::instrument, {0, 0, {id, exchange}, {}, entry.number});
    });
  }

  void answer(wire::Type type, CThostFtdcSpecificInstrumentField* row, CThostFtdcRspInfoField* info) {
    const std::string_view id = row == nullptr ? std::string_view{} : wire::textOf(row->InstrumentID);
    const InstrumentNumbers::Entry* entry = number(id, {});
    if (entry == nullptr) {
      // An answer about no contract says something only when it is an error.
      if (vendor::errorId(info) == 0) return;
      outbox.message(wire::Type::frontError, {vendor::errorId(info), 0, {vendor::errorText(info)}});
      return;
    }
    outbox.message(type, {vendor::errorId(info),
                          entry->request.load(std::memory_order_relaxed),
                          {vendor::errorText(info)},
                          {},
                          entry->number});
  }

  /// Hands the ids over in one vendor call. The vendor wants mutable strings and keeps none of them after it returned.
  template <class Call>
  int pass(const wire::Command& command, wire::Type answerType, Call call) {
    std::vector<std::string> ids;
    ids.reserve(command.texts.size());
    for (const std::string& id : command.texts) {
      const bool possible = id.size() < sizeof(TThostFtdcInstrumentIDType) && id.find('\0') == std::string::npos;
      InstrumentNumbers::Entry* entry = id.find('\0') == std::string::npos ? number(id, {}) : nullptr;
      if (!possible || id.empty()) {
        const std::string why = "no instrument of this SDK can have the id '" + id + "'";
        const char* const remedy = "Correct the catalogue.";
        outbox.message(wire::Type::frontError, {notHandedOver, command.request(), {why, remedy}});
        // Refused as a front refuses it, wherever the supervisor can tell which one is meant.
        if (entry != nullptr) {
          outbox.message(answerType, {notHandedOver, command.request(), {why, remedy}, {}, entry->number});
        }
        continue;
      }
      if (entry == nullptr) {
        outbox.message(wire::Type::frontError,
                       {notHandedOver,
                        command.request(),
                        {"too many instruments for one bridge", "Split the catalogue between lines."}});
        continue;
      }
      entry->request.store(command.request(), std::memory_order_relaxed);
      ids.push_back(id);
    }
    if (ids.empty()) return notHandedOver;
    std::vector<char*> pointers;
    pointers.reserve(ids.size());
    for (std::string& id : ids) pointers.push_back(id.data());
    return call(pointers.data(), static_cast<int>(pointers.size()));
  }

  CThostFtdcMdApi* api = nullptr;
  InstrumentNumbers numbers;
};

}  // namespace

LibraryRecord mdLibraryRecord() { return buildRecord::md; }

LoadedLibrary loadMdLibrary(const std::string& given, std::optional<Refusal>& refusal) {
  const LibraryRecord record = mdLibraryRecord();
  LoadedLibrary library = loadLibrary(libraryPath(given, record, "thostmduserapi_se.so"), record, vendor::Md::symbol,
                                      vendor::mdVersionSymbol, refusal);
  if (!refusal) refusal = slots::wrongMd();
  return library;
}

Session& mdSession(Outbox& outbox) {
  // Never destroyed: the vendor's threads call it until the process ends.
  static auto* session = new MdSession(outbox);
  return *session;
}
