// Stand-in for the vendor's header of this name: the virtual functions we use at their slots, the others named after their slot.
#ifndef STANDIN_MD_API_H
#define STANDIN_MD_API_H

#include "ThostFtdcUserApiStruct.h"

class CThostFtdcMdSpi {
public:
  virtual void OnFrontConnected(){};
  virtual void OnFrontDisconnected(int nReason){};
  virtual void OnHeartBeatWarning(int nTimeLapse){};
  virtual void OnRspUserLogin(CThostFtdcRspUserLoginField *pRspUserLogin, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRspUserLogout(CThostFtdcUserLogoutField *pUserLogout, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
#if STANDIN_SHAPE >= 60501
  virtual void OnSlot5(){};
#endif
  virtual void OnRspError(CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRspSubMarketData(CThostFtdcSpecificInstrumentField *pSpecificInstrument, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRspUnSubMarketData(CThostFtdcSpecificInstrumentField *pSpecificInstrument, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRspSubForQuoteRsp(CThostFtdcSpecificInstrumentField *pSpecificInstrument, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRspUnSubForQuoteRsp(CThostFtdcSpecificInstrumentField *pSpecificInstrument, CThostFtdcRspInfoField *pRspInfo, int nRequestID, bool bIsLast){};
  virtual void OnRtnDepthMarketData(CThostFtdcDepthMarketDataField *pDepthMarketData){};
};

class CThostFtdcMdApi {
public:
#if STANDIN_SHAPE >= 60711
  static CThostFtdcMdApi *CreateFtdcMdApi(const char *pszFlowPath = "", const bool bIsUsingUdp = false, const bool bIsMulticast = false, bool bIsProductionMode = true);
#else
  static CThostFtdcMdApi *CreateFtdcMdApi(const char *pszFlowPath = "", const bool bIsUsingUdp = false, const bool bIsMulticast = false);
#endif
  static const char *GetApiVersion();
  virtual void Release() = 0;
  virtual void Init() = 0;
  virtual int Join() = 0;
  virtual const char *GetTradingDay() = 0;
  virtual void RegisterFront(char *pszFrontAddress) = 0;
  virtual int Slot5() = 0;
  virtual int Slot6() = 0;
  virtual void RegisterSpi(CThostFtdcMdSpi *pSpi) = 0;
  virtual int SubscribeMarketData(char *ppInstrumentID[], int nCount) = 0;
  virtual int UnSubscribeMarketData(char *ppInstrumentID[], int nCount) = 0;
  virtual int Slot10() = 0;
  virtual int Slot11() = 0;
  virtual int ReqUserLogin(CThostFtdcReqUserLoginField *pReqUserLoginField, int nRequestID) = 0;
  virtual int ReqUserLogout(CThostFtdcUserLogoutField *pUserLogout, int nRequestID) = 0;
#if STANDIN_SHAPE >= 60501
  virtual int Slot14() = 0;
#endif
protected:
  ~CThostFtdcMdApi(){};
};

#endif
