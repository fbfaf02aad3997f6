// Stand-in for the vendor's header of this name: the types of the fields we use, written from their documented widths. The first line
// of a built SDK directory defines STANDIN_SHAPE, the version whose layout is meant (60315, 60607, 60707, 60711).
#ifndef STANDIN_DATA_TYPE_H
#define STANDIN_DATA_TYPE_H

enum THOST_TE_RESUME_TYPE {
  THOST_TERT_RESTART = 0,
  THOST_TERT_RESUME,
  THOST_TERT_QUICK,
#if STANDIN_SHAPE >= 60501
  THOST_TERT_NONE,
#endif
};

typedef char TThostFtdcDateType[9];
typedef char TThostFtdcTimeType[9];
typedef char TThostFtdcBrokerIDType[11];
typedef char TThostFtdcUserIDType[16];
typedef char TThostFtdcPasswordType[41];
typedef char TThostFtdcProductInfoType[11];
typedef char TThostFtdcProtocolInfoType[11];
typedef char TThostFtdcMacAddressType[21];
typedef char TThostFtdcLoginRemarkType[36];
typedef int TThostFtdcIPPortType;
typedef char TThostFtdcSystemNameType[41];
typedef int TThostFtdcFrontIDType;
typedef int TThostFtdcSessionIDType;
typedef char TThostFtdcOrderRefType[13];
typedef char TThostFtdcAuthCodeType[17];
typedef char TThostFtdcAppIDType[33];
typedef char TThostFtdcAppTypeType;
typedef int TThostFtdcErrorIDType;
typedef char TThostFtdcErrorMsgType[81];
typedef char TThostFtdcExchangeIDType[9];
typedef char TThostFtdcInstrumentNameType[21];
typedef char TThostFtdcProductClassType;
typedef int TThostFtdcYearType;
typedef int TThostFtdcMonthType;
typedef int TThostFtdcVolumeType;
typedef int TThostFtdcVolumeMultipleType;
typedef double TThostFtdcPriceType;
typedef double TThostFtdcMoneyType;
typedef double TThostFtdcLargeVolumeType;
typedef double TThostFtdcRatioType;
typedef double TThostFtdcUnderlyingMultipleType;
typedef char TThostFtdcInstLifePhaseType;
typedef int TThostFtdcBoolType;
typedef char TThostFtdcPositionTypeType;
typedef char TThostFtdcPositionDateTypeType;
typedef char TThostFtdcMaxMarginSideAlgorithmType;
typedef char TThostFtdcOptionsTypeType;
typedef char TThostFtdcCombinationTypeType;
typedef int TThostFtdcMillisecType;
typedef char TThostFtdcSettlementGroupIDType[9];
typedef char TThostFtdcInstrumentStatusType;
typedef int TThostFtdcTradingSegmentSNType;
typedef char TThostFtdcInstStatusEnterReasonType;
typedef char TThostFtdcSysVersionType[41];
typedef int TThostFtdcDRIdentityIDType;
typedef char TThostFtdcDateTimeType[17];
typedef char TThostFtdcReserveInfoType[65];

#if STANDIN_SHAPE >= 60501
typedef char TThostFtdcOldInstrumentIDType[31];
typedef char TThostFtdcOldExchangeInstIDType[31];
typedef char TThostFtdcOldIPAddressType[16];
typedef char TThostFtdcInstrumentIDType[81];
typedef char TThostFtdcExchangeInstIDType[81];
typedef char TThostFtdcIPAddressType[33];
#else
typedef char TThostFtdcInstrumentIDType[31];
typedef char TThostFtdcExchangeInstIDType[31];
typedef char TThostFtdcIPAddressType[16];
#endif

#endif
