// Stand-in for the vendor's header of this name: the virtual functions we use at the slots they have in each version. All others are
// forbidden to us (they place orders, move money, confirm settlements): they are named after their slot, and calling one is told to
// the scripted front, so that both a drift of slots and a forbidden call are seen.
#ifndef STANDIN_TRADER_API_H
#define STANDIN_TRADER_API_H

#include "ThostFtdcUserApiStruct.h"

struct CThostFtdcFrontInfoField;

#define STANDIN_SPI_SLOT(n) virtual void OnSlot##n(){};
#define STANDIN_SPI_TEN(t) STANDIN_SPI_SLOT(t##0) STANDIN_SPI_SLOT(t##1) STANDIN_SPI_SLOT(t##2) STANDIN_SPI_SLOT(t##3) STANDIN_SPI_SLOT(t##4) \
  STANDIN_SPI_SLOT(t##5) STANDIN_SPI_SLOT(t##6) STANDIN_SPI_SLOT(t##7) STANDIN_SPI_SLOT(t##8) STANDIN_SPI_SLOT(t##9)
#ifndef STANDIN_API_SLOT
#define STANDIN_API_SLOT(n) virtual int Forbidden##n() = 0;
#endif

class CThostFtdcTraderSpi {
public:
  virtual void OnFrontConnected(){};
  virtual void OnFrontDisconnected(int nReason){};
  virtual void OnHeartBeatWarning(int nTimeLapse){};
  virtual void OnRspAuthenticate(CThostFtdcRspAuthenticateField *pRspAuthenticateField, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRspUserLogin(CThostFtdcRspUserLoginField *pRspUserLogin, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRspUserLogout(CThostFtdcUserLogoutField *pUserLogout, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  STANDIN_SPI_SLOT(6) STANDIN_SPI_SLOT(7) STANDIN_SPI_SLOT(8) STANDIN_SPI_SLOT(9)
  STANDIN_SPI_TEN(1) STANDIN_SPI_TEN(2)
  STANDIN_SPI_SLOT(30) STANDIN_SPI_SLOT(31) STANDIN_SPI_SLOT(32) STANDIN_SPI_SLOT(33) STANDIN_SPI_SLOT(34) STANDIN_SPI_SLOT(35)
#if STANDIN_SHAPE >= 60711
  STANDIN_SPI_SLOT(UserSession)
#endif
  STANDIN_SPI_SLOT(36) STANDIN_SPI_SLOT(37)
  virtual void OnRspQryInstrument(CThostFtdcInstrumentField *pInstrument, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  STANDIN_SPI_SLOT(39)
  STANDIN_SPI_TEN(4) STANDIN_SPI_TEN(5) STANDIN_SPI_TEN(6)
  STANDIN_SPI_SLOT(70) STANDIN_SPI_SLOT(71) STANDIN_SPI_SLOT(72)
  virtual void OnRspError(CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  STANDIN_SPI_SLOT(74) STANDIN_SPI_SLOT(75) STANDIN_SPI_SLOT(76) STANDIN_SPI_SLOT(77)
  virtual void OnRtnInstrumentStatus(CThostFtdcInstrumentStatusField *pInstrumentStatus){};
  STANDIN_SPI_SLOT(79)
};

class CThostFtdcTraderApi {
public:
#if STANDIN_SHAPE >= 60711
  static CThostFtdcTraderApi *CreateFtdcTraderApi(const char *pszFlowPath = "", bool bIsProductionMode = true);
#else
  static CThostFtdcTraderApi *CreateFtdcTraderApi(const char *pszFlowPath = "");
#endif
  static const char *GetApiVersion();
  virtual void Release() = 0;
  virtual void Init() = 0;
  virtual int Join() = 0;
  virtual const char *GetTradingDay() = 0;
#if STANDIN_SHAPE >= 60707
  virtual void GetFrontInfo(CThostFtdcFrontInfoField *pFrontInfo) = 0;
#endif
  virtual void RegisterFront(char *pszFrontAddress) = 0;
  STANDIN_API_SLOT(5) STANDIN_API_SLOT(6)
  virtual void RegisterSpi(CThostFtdcTraderSpi *pSpi) = 0;
  virtual void SubscribePrivateTopic(THOST_TE_RESUME_TYPE nResumeType) = 0;
  virtual void SubscribePublicTopic(THOST_TE_RESUME_TYPE nResumeType) = 0;
  virtual int ReqAuthenticate(CThostFtdcReqAuthenticateField *pReqAuthenticateField, int nRequestID) = 0;
  STANDIN_API_SLOT(11) STANDIN_API_SLOT(12)
#if STANDIN_SHAPE >= 60711
  STANDIN_API_SLOT(RegisterWechat) STANDIN_API_SLOT(SubmitWechat)
#endif
  virtual int ReqUserLogin(CThostFtdcReqUserLoginField *pReqUserLoginField, int nRequestID) = 0;
  STANDIN_API_SLOT(14) STANDIN_API_SLOT(15) STANDIN_API_SLOT(16) STANDIN_API_SLOT(17) STANDIN_API_SLOT(18) STANDIN_API_SLOT(19)
  STANDIN_API_SLOT(20) STANDIN_API_SLOT(21) STANDIN_API_SLOT(22) STANDIN_API_SLOT(23) STANDIN_API_SLOT(24) STANDIN_API_SLOT(25)
  STANDIN_API_SLOT(26) STANDIN_API_SLOT(27) STANDIN_API_SLOT(28) STANDIN_API_SLOT(29) STANDIN_API_SLOT(30) STANDIN_API_SLOT(31)
  STANDIN_API_SLOT(32) STANDIN_API_SLOT(33) STANDIN_API_SLOT(34) STANDIN_API_SLOT(35) STANDIN_API_SLOT(36) STANDIN_API_SLOT(37)
  STANDIN_API_SLOT(38) STANDIN_API_SLOT(39) STANDIN_API_SLOT(40) STANDIN_API_SLOT(41) STANDIN_API_SLOT(42) STANDIN_API_SLOT(43)
  STANDIN_API_SLOT(44) STANDIN_API_SLOT(45) STANDIN_API_SLOT(46) STANDIN_API_SLOT(47)
#if STANDIN_SHAPE >= 60711
  STANDIN_API_SLOT(UserSession)
#endif
  STANDIN_API_SLOT(48) STANDIN_API_SLOT(49)
  virtual int ReqQryInstrument(CThostFtdcQryInstrumentField *pQryInstrument, int nRequestID) = 0;
  // As many more as a caller that has slipped by a few slots could reach.
  STANDIN_API_SLOT(51) STANDIN_API_SLOT(52) STANDIN_API_SLOT(53) STANDIN_API_SLOT(54) STANDIN_API_SLOT(55) STANDIN_API_SLOT(56)
protected:
  ~CThostFtdcTraderApi(){};
};

#endif
