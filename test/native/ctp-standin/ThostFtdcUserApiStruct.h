// Stand-in for the vendor's header of this name: the structures we use, field by field in their documented order and width, so that
// sizes and offsets drift between versions as the real ones do.
#ifndef STANDIN_STRUCT_H
#define STANDIN_STRUCT_H

#include "ThostFtdcUserApiDataType.h"

struct CThostFtdcRspInfoField {
  TThostFtdcErrorIDType ErrorID;
  TThostFtdcErrorMsgType ErrorMsg;
};

struct CThostFtdcReqUserLoginField {
  TThostFtdcDateType TradingDay;
  TThostFtdcBrokerIDType BrokerID;
  TThostFtdcUserIDType UserID;
  TThostFtdcPasswordType Password;
  TThostFtdcProductInfoType UserProductInfo;
  TThostFtdcProductInfoType InterfaceProductInfo;
  TThostFtdcProtocolInfoType ProtocolInfo;
  TThostFtdcMacAddressType MacAddress;
  TThostFtdcPasswordType OneTimePassword;
#if STANDIN_SHAPE >= 60501
  TThostFtdcOldIPAddressType reserve1;
  TThostFtdcLoginRemarkType LoginRemark;
  TThostFtdcIPPortType ClientIPPort;
  TThostFtdcIPAddressType ClientIPAddress;
#else
  TThostFtdcIPAddressType ClientIPAddress;
  TThostFtdcLoginRemarkType LoginRemark;
  TThostFtdcIPPortType ClientIPPort;
#endif
};

struct CThostFtdcRspUserLoginField {
  TThostFtdcDateType TradingDay;
  TThostFtdcTimeType LoginTime;
  TThostFtdcBrokerIDType BrokerID;
  TThostFtdcUserIDType UserID;
  TThostFtdcSystemNameType SystemName;
  TThostFtdcFrontIDType FrontID;
  TThostFtdcSessionIDType SessionID;
  TThostFtdcOrderRefType MaxOrderRef;
  TThostFtdcTimeType SHFETime;
  TThostFtdcTimeType DCETime;
  TThostFtdcTimeType CZCETime;
  TThostFtdcTimeType FFEXTime;
  TThostFtdcTimeType INETime;
#if STANDIN_SHAPE >= 60607
  TThostFtdcSysVersionType SysVersion;
#endif
#if STANDIN_SHAPE >= 60609
  TThostFtdcTimeType GFEXTime;
#endif
#if STANDIN_SHAPE >= 60708
  TThostFtdcDRIdentityIDType LoginDRIdentityID;
  TThostFtdcDRIdentityIDType UserDRIdentityID;
#endif
#if STANDIN_SHAPE >= 60711
  TThostFtdcDateTimeType LastLoginTime;
  TThostFtdcReserveInfoType ReserveInfo;
#endif
};

struct CThostFtdcUserLogoutField {
  TThostFtdcBrokerIDType BrokerID;
  TThostFtdcUserIDType UserID;
};

struct CThostFtdcReqAuthenticateField {
  TThostFtdcBrokerIDType BrokerID;
  TThostFtdcUserIDType UserID;
  TThostFtdcProductInfoType UserProductInfo;
  TThostFtdcAuthCodeType AuthCode;
  TThostFtdcAppIDType AppID;
};

struct CThostFtdcRspAuthenticateField {
  TThostFtdcBrokerIDType BrokerID;
  TThostFtdcUserIDType UserID;
  TThostFtdcProductInfoType UserProductInfo;
  TThostFtdcAppIDType AppID;
  TThostFtdcAppTypeType AppType;
};

struct CThostFtdcSpecificInstrumentField {
#if STANDIN_SHAPE >= 60501
  TThostFtdcOldInstrumentIDType reserve1;
#endif
  TThostFtdcInstrumentIDType InstrumentID;
};

struct CThostFtdcDepthMarketDataField {
  TThostFtdcDateType TradingDay;
#if STANDIN_SHAPE >= 60501
  TThostFtdcOldInstrumentIDType reserve1;
  TThostFtdcExchangeIDType ExchangeID;
  TThostFtdcOldExchangeInstIDType reserve2;
#else
  TThostFtdcInstrumentIDType InstrumentID;
  TThostFtdcExchangeIDType ExchangeID;
  TThostFtdcExchangeInstIDType ExchangeInstID;
#endif
  TThostFtdcPriceType LastPrice;
  TThostFtdcPriceType PreSettlementPrice;
  TThostFtdcPriceType PreClosePrice;
  TThostFtdcLargeVolumeType PreOpenInterest;
  TThostFtdcPriceType OpenPrice;
  TThostFtdcPriceType HighestPrice;
  TThostFtdcPriceType LowestPrice;
  TThostFtdcVolumeType Volume;
  TThostFtdcMoneyType Turnover;
  TThostFtdcLargeVolumeType OpenInterest;
  TThostFtdcPriceType ClosePrice;
  TThostFtdcPriceType SettlementPrice;
  TThostFtdcPriceType UpperLimitPrice;
  TThostFtdcPriceType LowerLimitPrice;
  TThostFtdcRatioType PreDelta;
  TThostFtdcRatioType CurrDelta;
  TThostFtdcTimeType UpdateTime;
  TThostFtdcMillisecType UpdateMillisec;
  TThostFtdcPriceType BidPrice1;
  TThostFtdcVolumeType BidVolume1;
  TThostFtdcPriceType AskPrice1;
  TThostFtdcVolumeType AskVolume1;
  TThostFtdcPriceType BidPrice2;
  TThostFtdcVolumeType BidVolume2;
  TThostFtdcPriceType AskPrice2;
  TThostFtdcVolumeType AskVolume2;
  TThostFtdcPriceType BidPrice3;
  TThostFtdcVolumeType BidVolume3;
  TThostFtdcPriceType AskPrice3;
  TThostFtdcVolumeType AskVolume3;
  TThostFtdcPriceType BidPrice4;
  TThostFtdcVolumeType BidVolume4;
  TThostFtdcPriceType AskPrice4;
  TThostFtdcVolumeType AskVolume4;
  TThostFtdcPriceType BidPrice5;
  TThostFtdcVolumeType BidVolume5;
  TThostFtdcPriceType AskPrice5;
  TThostFtdcVolumeType AskVolume5;
  TThostFtdcPriceType AveragePrice;
  TThostFtdcDateType ActionDay;
#if STANDIN_SHAPE >= 60501
  TThostFtdcInstrumentIDType InstrumentID;
  TThostFtdcExchangeInstIDType ExchangeInstID;
#endif
#if STANDIN_SHAPE >= 60607
  TThostFtdcPriceType BandingUpperPrice;
  TThostFtdcPriceType BandingLowerPrice;
#endif
};

struct CThostFtdcQryInstrumentField {
#if STANDIN_SHAPE >= 60501
  TThostFtdcOldInstrumentIDType reserve1;
  TThostFtdcExchangeIDType ExchangeID;
  TThostFtdcOldExchangeInstIDType reserve2;
  TThostFtdcOldInstrumentIDType reserve3;
  TThostFtdcInstrumentIDType InstrumentID;
  TThostFtdcExchangeInstIDType ExchangeInstID;
  TThostFtdcInstrumentIDType ProductID;
#else
  TThostFtdcInstrumentIDType InstrumentID;
  TThostFtdcExchangeIDType ExchangeID;
  TThostFtdcExchangeInstIDType ExchangeInstID;
  TThostFtdcInstrumentIDType ProductID;
#endif
};

struct CThostFtdcInstrumentField {
#if STANDIN_SHAPE >= 60501
  TThostFtdcOldInstrumentIDType reserve1;
  TThostFtdcExchangeIDType ExchangeID;
  TThostFtdcInstrumentNameType InstrumentName;
  TThostFtdcOldExchangeInstIDType reserve2;
  TThostFtdcOldInstrumentIDType reserve3;
#else
  TThostFtdcInstrumentIDType InstrumentID;
  TThostFtdcExchangeIDType ExchangeID;
  TThostFtdcInstrumentNameType InstrumentName;
  TThostFtdcExchangeInstIDType ExchangeInstID;
  TThostFtdcInstrumentIDType ProductID;
#endif
  TThostFtdcProductClassType ProductClass;
  TThostFtdcYearType DeliveryYear;
  TThostFtdcMonthType DeliveryMonth;
  TThostFtdcVolumeType MaxMarketOrderVolume;
  TThostFtdcVolumeType MinMarketOrderVolume;
  TThostFtdcVolumeType MaxLimitOrderVolume;
  TThostFtdcVolumeType MinLimitOrderVolume;
  TThostFtdcVolumeMultipleType VolumeMultiple;
  TThostFtdcPriceType PriceTick;
  TThostFtdcDateType CreateDate;
  TThostFtdcDateType OpenDate;
  TThostFtdcDateType ExpireDate;
  TThostFtdcDateType StartDelivDate;
  TThostFtdcDateType EndDelivDate;
  TThostFtdcInstLifePhaseType InstLifePhase;
  TThostFtdcBoolType IsTrading;
  TThostFtdcPositionTypeType PositionType;
  TThostFtdcPositionDateTypeType PositionDateType;
  TThostFtdcRatioType LongMarginRatio;
  TThostFtdcRatioType ShortMarginRatio;
  TThostFtdcMaxMarginSideAlgorithmType MaxMarginSideAlgorithm;
#if STANDIN_SHAPE >= 60501
  TThostFtdcOldInstrumentIDType reserve4;
#else
  TThostFtdcInstrumentIDType UnderlyingInstrID;
#endif
  TThostFtdcPriceType StrikePrice;
  TThostFtdcOptionsTypeType OptionsType;
  TThostFtdcUnderlyingMultipleType UnderlyingMultiple;
  TThostFtdcCombinationTypeType CombinationType;
#if STANDIN_SHAPE >= 60501
  TThostFtdcInstrumentIDType InstrumentID;
  TThostFtdcExchangeInstIDType ExchangeInstID;
  TThostFtdcInstrumentIDType ProductID;
  TThostFtdcInstrumentIDType UnderlyingInstrID;
#endif
};

struct CThostFtdcInstrumentStatusField {
  TThostFtdcExchangeIDType ExchangeID;
#if STANDIN_SHAPE >= 60501
  TThostFtdcOldExchangeInstIDType reserve1;
  TThostFtdcSettlementGroupIDType SettlementGroupID;
  TThostFtdcOldInstrumentIDType reserve2;
#else
  TThostFtdcExchangeInstIDType ExchangeInstID;
  TThostFtdcSettlementGroupIDType SettlementGroupID;
  TThostFtdcInstrumentIDType InstrumentID;
#endif
  TThostFtdcInstrumentStatusType InstrumentStatus;
  TThostFtdcTradingSegmentSNType TradingSegmentSN;
  TThostFtdcTimeType EnterTime;
  TThostFtdcInstStatusEnterReasonType EnterReason;
#if STANDIN_SHAPE >= 60501
  TThostFtdcExchangeInstIDType ExchangeInstID;
  TThostFtdcInstrumentIDType InstrumentID;
#endif
};

#endif
