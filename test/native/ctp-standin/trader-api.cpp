// The trading half of the SDK stand-in. Commands of the front:
//   rsp-auth REQUEST ERROR|null TEXT   rsp-login REQUEST ERROR|null TEXT DAY   rsp-error REQUEST ERROR TEXT
//   instrument REQUEST LAST ID EXCHANGE PRODUCT CLASS NAME EXPIRY UNDERLYING OPEN MULTIPLIER TICK TRADING
//   instrument-end REQUEST ERROR|null TEXT (a last row without a row)   status EXCHANGE PRODUCT STATUS TIME
#include <unistd.h>

// Every slot we must not call answers by telling the front its name.
#define STANDIN_API_SLOT(n) \
  virtual int Forbidden##n() { return forbidden(#n); }
#include "ThostFtdcUserApiStruct.h"
namespace standin {
int forbidden(const char* slot);
}
using standin::forbidden;

#include "ThostFtdcTraderApi.h"
#include "fields.hpp"
#include "front-link.hpp"
#include "standin-version.hpp"

namespace {

using standin::Words;

standin::FrontLink* linkOfProcess = nullptr;

class TraderApi final : public CThostFtdcTraderApi {
 public:
  TraderApi(const std::string& flow, bool production)
      : link("hello td " + standin::encoded(STANDIN_VERSION) + " " + standin::encoded(flow) +
                 (production ? " production" : " evaluation"),
             {[this] { spi->OnFrontConnected(); }, [this](int reason) { spi->OnFrontDisconnected(reason); },
              [this](const Words& words) { obey(words); }}) {
    linkOfProcess = &link;
  }

  void Release() override {
    for (;;) pause();
  }
  void Init() override { link.init(); }
  int Join() override {
    for (;;) pause();
  }
  const char* GetTradingDay() override { return "20261123"; }
#if STANDIN_SHAPE >= 60707
  void GetFrontInfo(CThostFtdcFrontInfoField*) override { forbidden("GetFrontInfo"); }
#endif
  void RegisterFront(char* address) override { link.registerFront(address); }
  void RegisterSpi(CThostFtdcTraderSpi* given) override { spi = given; }
  void SubscribePrivateTopic(THOST_TE_RESUME_TYPE type) override { privateTopic = type; }
  void SubscribePublicTopic(THOST_TE_RESUME_TYPE type) override { publicTopic = type; }

  int ReqAuthenticate(CThostFtdcReqAuthenticateField* field, int request) override {
    const int code = link.returnCode("auth");
    if (code != 0) return code;
    link.send("topics " + std::to_string(privateTopic) + " " + std::to_string(publicTopic));
    link.send("auth " + std::to_string(request) + " " + standin::encoded(standin::text(field->BrokerID)) + " " +
              standin::encoded(standin::text(field->UserID)) + " " + standin::encoded(standin::text(field->AppID)) +
              " " + standin::encoded(standin::text(field->AuthCode)));
    return 0;
  }

  int ReqUserLogin(CThostFtdcReqUserLoginField* field, int request) override {
    const int code = link.returnCode("login");
    if (code != 0) return code;
    link.send("login " + std::to_string(request) + " " + standin::encoded(standin::text(field->BrokerID)) + " " +
              standin::encoded(standin::text(field->UserID)) + " " + standin::encoded(standin::text(field->Password)));
    return 0;
  }

  int ReqQryInstrument(CThostFtdcQryInstrumentField* field, int request) override {
    const int code = link.returnCode("query");
    if (code != 0) return code;
    link.send("query " + std::to_string(request) + " " + standin::encoded(standin::text(field->ExchangeID)) + " " +
              standin::encoded(standin::text(field->ProductID)) + " " +
              standin::encoded(standin::text(field->InstrumentID)));
    return 0;
  }

 private:
  void obey(const Words& words) {
    CThostFtdcRspInfoField info{};
    if (words[0] == "rsp-auth") {
      CThostFtdcRspAuthenticateField row{};
      spi->OnRspAuthenticate(&row, standin::infoOrNull(info, words[2], words[3]), std::atoi(words[1].c_str()), true);
    } else if (words[0] == "rsp-login") {
      CThostFtdcRspUserLoginField row{};
      standin::fill(row.TradingDay, words[4]);
      spi->OnRspUserLogin(&row, standin::infoOrNull(info, words[2], words[3]), std::atoi(words[1].c_str()), true);
    } else if (words[0] == "rsp-error") {
      spi->OnRspError(standin::infoOrNull(info, words[2], words[3]), std::atoi(words[1].c_str()), true);
    } else if (words[0] == "instrument") {
      CThostFtdcInstrumentField row{};
      standin::fill(row.InstrumentID, words[3]);
      standin::fill(row.ExchangeID, words[4]);
      standin::fill(row.ProductID, words[5]);
      row.ProductClass = words[6].empty() ? '\0' : words[6][0];
      standin::fill(row.InstrumentName, words[7]);
      standin::fill(row.ExpireDate, words[8]);
      standin::fill(row.UnderlyingInstrID, words[9]);
      standin::fill(row.OpenDate, words[10]);
      row.VolumeMultiple = std::atoi(words[11].c_str());
      row.PriceTick = standin::number(words[12]);
      row.IsTrading = std::atoi(words[13].c_str());
      spi->OnRspQryInstrument(&row, nullptr, std::atoi(words[1].c_str()), words[2] == "1");
    } else if (words[0] == "instrument-end") {
      spi->OnRspQryInstrument(nullptr, standin::infoOrNull(info, words[2], words[3]), std::atoi(words[1].c_str()),
                              true);
    } else if (words[0] == "status") {
      CThostFtdcInstrumentStatusField row{};
      standin::fill(row.ExchangeID, words[1]);
      standin::fill(row.InstrumentID, words[2]);
      row.InstrumentStatus = words[3][0];
      standin::fill(row.EnterTime, words[4]);
      spi->OnRtnInstrumentStatus(&row);
    }
  }

  standin::FrontLink link;
  CThostFtdcTraderSpi* spi = nullptr;
  int privateTopic = -1;
  int publicTopic = -1;
};

}  // namespace

int standin::forbidden(const char* slot) {
  linkOfProcess->send(std::string("forbidden td ") + slot);
  return -1;
}

#if STANDIN_SHAPE >= 60711
CThostFtdcTraderApi* CThostFtdcTraderApi::CreateFtdcTraderApi(const char* flow, bool production) {
#else
CThostFtdcTraderApi* CThostFtdcTraderApi::CreateFtdcTraderApi(const char* flow) {
  const bool production = true;
#endif
  standin::FrontLink::openFlowFiles(flow);
  return new TraderApi(flow, production);
}

const char* CThostFtdcTraderApi::GetApiVersion() { return STANDIN_VERSION; }
