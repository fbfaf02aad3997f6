// The bridge protocol, version 1, on the C++ side. src/adapters/feeds/wire.ts and src/domain/tick.ts say what each byte
// means; the numbers here repeat them, and test/adapters/ctp-bridge-golden.test.ts holds both sides equal byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wire {

constexpr int protocolVersion = 1;
constexpr std::size_t tickBytes = 312;
constexpr std::size_t messageHeaderBytes = 48;
constexpr std::size_t frameBytesMax = 65'536;

enum class Type : std::uint16_t {
  hello = 1,
  tick = 2,
  instrument = 3,
  connected = 4,
  disconnected = 5,
  loggedIn = 6,
  subscribed = 7,
  unsubscribed = 8,
  requested = 9,
  counters = 10,
  frontError = 11,
  log = 12,
  catalogueRow = 14,
  catalogueEnd = 15,
  authenticated = 16,
  productStatus = 17,

  start = 101,
  login = 102,
  subscribe = 103,
  unsubscribe = 104,
  advance = 105,
  authenticate = 106,
  queryInstruments = 107,
};

/// When the cause of a frame happened: both clocks, ms.
struct Moment {
  double wallMs;
  double monotonicMs;
};

/// Index of each double of a tick, counted from byte 64.
enum TickDouble : std::size_t {
  LastPrice,
  PreSettlementPrice,
  PreClosePrice,
  PreOpenInterest,
  OpenPrice,
  HighestPrice,
  LowestPrice,
  Turnover,
  OpenInterest,
  ClosePrice,
  SettlementPrice,
  UpperLimitPrice,
  LowerLimitPrice,
  BidPrice1,
  BidPrice2,
  BidPrice3,
  BidPrice4,
  BidPrice5,
  AskPrice1,
  AskPrice2,
  AskPrice3,
  AskPrice4,
  AskPrice5,
  AveragePrice,
  BandingUpperPrice,
  BandingLowerPrice,
  tickDoubles,
};

/// One market-data snapshot exactly as it travels.
struct Tick {
  std::uint32_t length;
  std::uint16_t type;
  std::uint16_t flags;
  std::uint32_t sequence;
  std::uint32_t instrument;
  double receivedWallMs;
  double receivedMonotonicMs;
  char tradingDay[8];
  char actionDay[8];
  char updateTime[8];
  std::int32_t updateMillisec;
  std::int32_t volume;
  double doubles[tickDoubles];
  std::int32_t bidVolumes[5];
  std::int32_t askVolumes[5];
};

static_assert(sizeof(Tick) == tickBytes);
static_assert(offsetof(Tick, instrument) == 12);
static_assert(offsetof(Tick, receivedWallMs) == 16);
static_assert(offsetof(Tick, receivedMonotonicMs) == 24);
static_assert(offsetof(Tick, tradingDay) == 32);
static_assert(offsetof(Tick, actionDay) == 40);
static_assert(offsetof(Tick, updateTime) == 48);
static_assert(offsetof(Tick, updateMillisec) == 56);
static_assert(offsetof(Tick, volume) == 60);
static_assert(offsetof(Tick, doubles) == 64);
static_assert(offsetof(Tick, bidVolumes) == 272);
static_assert(offsetof(Tick, askVolumes) == 292);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "frames are little-endian and are written as they lie in memory");

/// A price the exchange did not give is NaN on the wire. The vendor writes DBL_MAX for it, some libraries FLT_MAX; no
/// real figure of a contract comes near either. One bit pattern for all, so that equal ticks are equal bytes.
inline double present(double value) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  constexpr double absurd = std::numeric_limits<float>::max();
  return value > -absurd && value < absurd ? value : none;
}

/// Copies a fixed vendor text into a fixed field of the wire: up to its NUL, the rest zeros. Vendor arrays need not be
/// terminated.
template <std::size_t to, std::size_t from>
void copyText(char (&field)[to], const char (&text)[from]) {
  std::size_t length = strnlen(text, from);
  if (length > to) length = to;
  std::memcpy(field, text, length);
  std::memset(field + length, 0, to - length);
}

/// A fixed vendor text up to its NUL or its end.
template <std::size_t size>
std::string_view textOf(const char (&text)[size]) {
  return {text, strnlen(text, size)};
}

/// Only ever written out in the call that uses it: the lists point to temporaries.
struct MessageFields {
  std::int32_t code = 0;
  std::int32_t request = 0;
  std::initializer_list<std::string_view> texts = {};
  std::initializer_list<double> numbers = {};
  std::uint32_t instrument = 0;
};

/// The same with its lists wherever they lie.
struct MessageParts {
  std::int32_t code;
  std::int32_t request;
  const std::string_view* texts;
  std::size_t textCount;
  const double* numbers;
  std::size_t numberCount;
  std::uint32_t instrument;
};

/// Encodes any frame but a tick; the writer stamps the sequence. A text that does not fit is cut: what a vendor says
/// must never stop the bridge.
std::vector<unsigned char> encodeParts(Type type, Moment moment, const MessageParts& parts);

inline std::vector<unsigned char> encodeMessage(Type type, Moment moment, const MessageFields& fields) {
  return encodeParts(type, moment,
                     MessageParts{fields.code, fields.request, fields.texts.begin(), fields.texts.size(),
                                  fields.numbers.begin(), fields.numbers.size(), fields.instrument});
}

/// A command frame as read from stdin.
struct Command {
  Type type;
  std::uint32_t sequence;
  std::vector<double> numbers;
  std::vector<std::string> texts;

  /// The answer field of later frames: which command they belong to.
  std::int32_t request() const { return static_cast<std::int32_t>(sequence); }
  /// The value of a name in `name, value, name, value ...`, or `otherwise`.
  std::string_view option(std::string_view name, std::string_view otherwise = {}) const;
  /// Overwrites the texts: a credential must not lie about in memory when nobody needs it any more.
  void wipe();
};

/// Cuts the bytes of stdin into commands. Holds at most one unfinished frame, and what it has handed out is
/// overwritten: commands carry passwords.
class CommandReader {
 public:
  enum class Outcome { command, needMore, fault };

  /// At most frameBytesMax bytes, and only after `next` has asked for more.
  void push(const unsigned char* bytes, std::size_t count);
  /// After `fault`, `faultText` names it and nothing that follows can be believed.
  Outcome next(Command& command);
  const std::string& faultText() const { return fault; }
  /// Bytes of an unfinished frame: at the end of input they are a fault of their own.
  std::size_t unfinished() const { return filled - taken; }

 private:
  Outcome refuse(std::string why);
  bool decodeBody(const unsigned char* frame, std::size_t length, Command& command);

  /// Never moved, so that no copy of a password stays behind.
  static constexpr std::size_t capacity = 2 * frameBytesMax;
  std::unique_ptr<unsigned char[]> held{new unsigned char[capacity]};
  std::size_t filled = 0;
  std::size_t taken = 0;
  std::string fault;
};

}  // namespace wire
