// The market-data half of the SDK stand-in. Commands of the front:
//   rsp-login REQUEST ERROR|null TEXT DAY   rsp-error REQUEST ERROR TEXT
//   rsp-sub ID ERROR|null TEXT   rsp-unsub ID ERROR|null TEXT   rsp-sub-null ERROR|null TEXT (about no contract)
//   answers COUNT ID (as many answers to a subscription)
//   tick ID NAME=VALUE...   late-tick ID NAME=VALUE... (delivered after the next disconnect)
//   stream COUNT PER_SECOND ID... (as fast as possible when 0), answered by `streamed COUNT SECONDS`
#include <chrono>
#include <ctime>
#include <thread>
#include <unistd.h>

#include "ThostFtdcMdApi.h"
#include "fields.hpp"
#include "front-link.hpp"
#include "standin-version.hpp"

namespace {

using standin::Words;
using Row = CThostFtdcDepthMarketDataField;

struct DoubleField {
  const char* name;
  double Row::*member;
};

const DoubleField doubleFields[] = {
    {"LastPrice", &Row::LastPrice},
    {"PreSettlementPrice", &Row::PreSettlementPrice},
    {"PreClosePrice", &Row::PreClosePrice},
    {"PreOpenInterest", &Row::PreOpenInterest},
    {"OpenPrice", &Row::OpenPrice},
    {"HighestPrice", &Row::HighestPrice},
    {"LowestPrice", &Row::LowestPrice},
    {"Turnover", &Row::Turnover},
    {"OpenInterest", &Row::OpenInterest},
    {"ClosePrice", &Row::ClosePrice},
    {"SettlementPrice", &Row::SettlementPrice},
    {"UpperLimitPrice", &Row::UpperLimitPrice},
    {"LowerLimitPrice", &Row::LowerLimitPrice},
    {"BidPrice1", &Row::BidPrice1},
    {"BidPrice2", &Row::BidPrice2},
    {"BidPrice3", &Row::BidPrice3},
    {"BidPrice4", &Row::BidPrice4},
    {"BidPrice5", &Row::BidPrice5},
    {"AskPrice1", &Row::AskPrice1},
    {"AskPrice2", &Row::AskPrice2},
    {"AskPrice3", &Row::AskPrice3},
    {"AskPrice4", &Row::AskPrice4},
    {"AskPrice5", &Row::AskPrice5},
    {"AveragePrice", &Row::AveragePrice},
#if STANDIN_SHAPE >= 60607
    {"BandingUpperPrice", &Row::BandingUpperPrice},
    {"BandingLowerPrice", &Row::BandingLowerPrice},
#endif
};

struct IntField {
  const char* name;
  int Row::*member;
};

const IntField intFields[] = {
    {"Volume", &Row::Volume},         {"UpdateMillisec", &Row::UpdateMillisec}, {"BidVolume1", &Row::BidVolume1},
    {"BidVolume2", &Row::BidVolume2}, {"BidVolume3", &Row::BidVolume3},         {"BidVolume4", &Row::BidVolume4},
    {"BidVolume5", &Row::BidVolume5}, {"AskVolume1", &Row::AskVolume1},         {"AskVolume2", &Row::AskVolume2},
    {"AskVolume3", &Row::AskVolume3}, {"AskVolume4", &Row::AskVolume4},         {"AskVolume5", &Row::AskVolume5},
};

Row rowOf(const Words& words) {
  Row row{};
  for (const DoubleField& field : doubleFields) row.*field.member = std::numeric_limits<double>::max();
  standin::fill(row.InstrumentID, words[1]);
  for (std::size_t i = 2; i < words.size(); i++) {
    const std::size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    const std::string value = words[i].substr(equals + 1);
    for (const DoubleField& field : doubleFields) {
      if (name == field.name) row.*field.member = standin::number(value);
    }
    for (const IntField& field : intFields) {
      if (name == field.name) row.*field.member = std::atoi(value.c_str());
    }
    if (name == "TradingDay") standin::fill(row.TradingDay, value);
    if (name == "ActionDay") standin::fill(row.ActionDay, value);
    if (name == "UpdateTime") standin::fill(row.UpdateTime, value);
    if (name == "ExchangeID") standin::fill(row.ExchangeID, value);
  }
  return row;
}

class MdApi final : public CThostFtdcMdApi {
 public:
  MdApi(const std::string& flow, bool production)
      : link("hello md " + standin::encoded(STANDIN_VERSION) + " " + standin::encoded(flow) +
                 (production ? " production" : " evaluation"),
             {[this] { spi->OnFrontConnected(); }, [this](int reason) { lost(reason); },
              [this](const Words& words) { obey(words); }}) {}

  // Known to dead-lock in real libraries: nobody may count on its return.
  void Release() override {
    for (;;) pause();
  }
  void Init() override { link.init(); }
  int Join() override {
    for (;;) pause();
  }
  const char* GetTradingDay() override { return ""; }
  void RegisterFront(char* address) override { link.registerFront(address); }
  void RegisterSpi(CThostFtdcMdSpi* given) override { spi = given; }
  int SubscribeMarketData(char* ids[], int count) override { return pass("subscribe", ids, count); }
  int UnSubscribeMarketData(char* ids[], int count) override { return pass("unsubscribe", ids, count); }
  int ReqUserLogin(CThostFtdcReqUserLoginField* field, int request) override {
    const int code = link.returnCode("login");
    if (code == 0) {
      link.send("login " + std::to_string(request) + " " + standin::encoded(standin::text(field->BrokerID)) + " " +
                standin::encoded(standin::text(field->UserID)) + " " +
                standin::encoded(standin::text(field->Password)));
    }
    return code;
  }
  int ReqUserLogout(CThostFtdcUserLogoutField*, int) override { return forbidden("ReqUserLogout"); }
  int Slot5() override { return forbidden("5"); }
  int Slot6() override { return forbidden("6"); }
  int Slot10() override { return forbidden("10"); }
  int Slot11() override { return forbidden("11"); }
#if STANDIN_SHAPE >= 60501
  int Slot14() override { return forbidden("14"); }
#endif

 private:
  int forbidden(const std::string& slot) {
    link.send("forbidden md " + slot);
    return -1;
  }

  int pass(const char* function, char* ids[], int count) {
    const int code = link.returnCode(function);
    if (code != 0) return code;
    std::string line = function;
    for (int i = 0; i < count; i++) line += " " + standin::encoded(ids[i]);
    link.send(line);
    return 0;
  }

  void lost(int reason) {
    spi->OnFrontDisconnected(reason);
    for (Row& row : late) spi->OnRtnDepthMarketData(&row);
    late.clear();
  }

  void obey(const Words& words) {
    CThostFtdcRspInfoField info{};
    if (words[0] == "tick") {
      Row row = rowOf(words);
      spi->OnRtnDepthMarketData(&row);
    } else if (words[0] == "late-tick") {
      late.push_back(rowOf(words));
    } else if (words[0] == "stream") {
      stream(words);
    } else if (words[0] == "rsp-login") {
      CThostFtdcRspUserLoginField row{};
      standin::fill(row.TradingDay, words[4]);
      spi->OnRspUserLogin(&row, standin::infoOrNull(info, words[2], words[3]), std::atoi(words[1].c_str()), true);
    } else if (words[0] == "rsp-sub" || words[0] == "rsp-unsub") {
      CThostFtdcSpecificInstrumentField row{};
      standin::fill(row.InstrumentID, words[1]);
      CThostFtdcRspInfoField* given = standin::infoOrNull(info, words[2], words[3]);
      if (words[0] == "rsp-sub") {
        spi->OnRspSubMarketData(&row, given, 0, true);
      } else {
        spi->OnRspUnSubMarketData(&row, given, 0, true);
      }
    } else if (words[0] == "rsp-sub-null") {
      spi->OnRspSubMarketData(nullptr, standin::infoOrNull(info, words[1], words[2]), 0, true);
    } else if (words[0] == "answers") {
      CThostFtdcSpecificInstrumentField row{};
      standin::fill(row.InstrumentID, words[2]);
      for (long left = std::atol(words[1].c_str()); left > 0; left--) spi->OnRspSubMarketData(&row, &info, 0, true);
    } else if (words[0] == "rsp-error") {
      spi->OnRspError(standin::infoOrNull(info, words[2], words[3]), std::atoi(words[1].c_str()), true);
    }
  }

  /// Paced in slices of a tenth of a millisecond, so that a slow moment is caught up with.
  void stream(const Words& words) {
    const long count = std::atol(words[1].c_str());
    const double perSecond = standin::number(words[2]);
    std::vector<Row> rows;
    for (std::size_t i = 3; i < words.size(); i++) {
      rows.push_back(rowOf(
          {"tick", words[i], "LastPrice=3500", "BidPrice1=3499", "AskPrice1=3501", "BidVolume1=10", "AskVolume1=12"}));
      standin::fill(rows.back().UpdateTime, "09:30:00");
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    for (long sent = 0; sent < count;) {
      const double due = perSecond > 0 ? elapsed() * perSecond : static_cast<double>(count);
      for (; sent < count && static_cast<double>(sent) < due; sent++) {
        Row& row = rows[static_cast<std::size_t>(sent) % rows.size()];
        row.Volume++;
        row.UpdateMillisec = static_cast<int>(sent % 1000);
        row.LastPrice = 3500 + static_cast<double>(sent % 100);
        spi->OnRtnDepthMarketData(&row);
      }
      if (sent < count) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    link.send("streamed " + std::to_string(count) + " " + std::to_string(elapsed()));
  }

  standin::FrontLink link;
  CThostFtdcMdSpi* spi = nullptr;
  std::vector<Row> late;
};

}  // namespace

#if STANDIN_SHAPE >= 60711
CThostFtdcMdApi* CThostFtdcMdApi::CreateFtdcMdApi(const char* flow, const bool, const bool, bool production) {
#else
CThostFtdcMdApi* CThostFtdcMdApi::CreateFtdcMdApi(const char* flow, const bool, const bool) {
  const bool production = true;
#endif
  standin::FrontLink::openFlowFiles(flow);
  return new MdApi(flow, production);
}

const char* CThostFtdcMdApi::GetApiVersion() { return STANDIN_VERSION; }
