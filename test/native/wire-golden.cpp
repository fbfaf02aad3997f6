// The C++ side of the golden bytes: `write` prints frames with known contents, `encode` encodes the frames that its
// stdin describes in words, and `read` prints what it understands of the command frames on stdin, a line each, every
// byte that is not plain in hex.
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <unistd.h>

#include "wire.hpp"

namespace {

void print(const std::vector<unsigned char>& frame) { std::fwrite(frame.data(), 1, frame.size(), stdout); }

int writeFrames() {
  const wire::Moment moment{1'763'712'000'123.25, 4'567.5};
  auto all = wire::encodeMessage(wire::Type::loggedIn, moment,
                                 {-3, 77, {"CTP:\xb2\xbb\xba", "", "20261123"}, {1.5, -0.0, 1e300}, 42});
  const std::uint32_t sequence = 0xfffffffe;
  std::memcpy(all.data() + 8, &sequence, sizeof sequence);
  print(all);
  print(wire::encodeMessage(wire::Type::connected, moment, {}));
  const std::string long_text(70'000, 'x');
  print(wire::encodeMessage(wire::Type::log, moment, {0, 0, {long_text, "cut away"}}));

  wire::Tick tick{};
  tick.length = wire::tickBytes;
  tick.type = static_cast<std::uint16_t>(wire::Type::tick);
  tick.sequence = 9;
  tick.instrument = 70'000;
  tick.receivedWallMs = moment.wallMs;
  tick.receivedMonotonicMs = moment.monotonicMs;
  wire::copyText(tick.tradingDay, "20261123");
  wire::copyText(tick.actionDay, "");
  wire::copyText(tick.updateTime, "21:30:05");
  tick.updateMillisec = 500;
  tick.volume = -1;
  for (std::size_t i = 0; i < wire::tickDoubles; i++)
    tick.doubles[i] = wire::present(i == 9 ? 1.7976931348623157e308 : 0.5 + static_cast<double>(i));
  for (int level = 0; level < 5; level++) {
    tick.bidVolumes[level] = 100 + level;
    tick.askVolumes[level] = 200 + level;
  }
  std::fwrite(&tick, 1, sizeof tick, stdout);
  return 0;
}

std::string bytesOf(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; hex != "-" && i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

/// Doubles travel as the hex of their bits.
double readDouble() {
  std::string hex;
  std::cin >> hex;
  const std::uint64_t bits = std::stoull(hex, nullptr, 16);
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class Value>
Value readInteger() {
  long long value;
  std::cin >> value;
  return static_cast<Value>(value);
}

template <std::size_t size>
void readText(char (&field)[size]) {
  std::string hex;
  std::cin >> hex;
  const std::string bytes = bytesOf(hex);
  std::memcpy(field, bytes.data(), bytes.size() < size ? bytes.size() : size);
}

/// `tick SEQUENCE INSTRUMENT WALL MONOTONIC TRADING-DAY ACTION-DAY TIME MS VOLUME DOUBLE*26 VOLUME*10`
void encodeTick() {
  wire::Tick tick{};
  tick.length = wire::tickBytes;
  tick.type = static_cast<std::uint16_t>(wire::Type::tick);
  tick.sequence = readInteger<std::uint32_t>();
  tick.instrument = readInteger<std::uint32_t>();
  tick.receivedWallMs = readDouble();
  tick.receivedMonotonicMs = readDouble();
  readText(tick.tradingDay);
  readText(tick.actionDay);
  readText(tick.updateTime);
  tick.updateMillisec = readInteger<std::int32_t>();
  tick.volume = readInteger<std::int32_t>();
  for (double& value : tick.doubles) value = wire::present(readDouble());
  for (std::int32_t& volume : tick.bidVolumes) volume = readInteger<std::int32_t>();
  for (std::int32_t& volume : tick.askVolumes) volume = readInteger<std::int32_t>();
  std::fwrite(&tick, 1, sizeof tick, stdout);
}

/// `message TYPE SEQUENCE INSTRUMENT WALL MONOTONIC CODE REQUEST COUNT DOUBLE* COUNT TEXT*`
void encodeOther() {
  const auto type = readInteger<std::uint16_t>();
  const auto sequence = readInteger<std::uint32_t>();
  const auto instrument = readInteger<std::uint32_t>();
  const double wallMs = readDouble();
  const double monotonicMs = readDouble();
  const auto code = readInteger<std::int32_t>();
  const auto request = readInteger<std::int32_t>();
  std::vector<double> numbers(readInteger<std::size_t>());
  for (double& number : numbers) number = readDouble();
  std::vector<std::string> bytes(readInteger<std::size_t>());
  for (std::string& text : bytes) {
    std::cin >> text;
    text = bytesOf(text);
  }
  const std::vector<std::string_view> texts(bytes.begin(), bytes.end());
  auto frame =
      wire::encodeParts(static_cast<wire::Type>(type), {wallMs, monotonicMs},
                        {code, request, texts.data(), texts.size(), numbers.data(), numbers.size(), instrument});
  std::memcpy(frame.data() + 8, &sequence, sizeof sequence);
  print(frame);
}

int encodeFrames() {
  for (std::string kind; std::cin >> kind;) kind == "tick" ? encodeTick() : encodeOther();
  return 0;
}

void printText(const std::string& text) {
  for (unsigned char c : text) {
    if (c > 0x20 && c < 0x7f && c != '%')
      std::putchar(c);
    else
      std::printf("%%%02x", c);
  }
}

int readCommands() {
  wire::CommandReader reader;
  wire::Command command;
  unsigned char byte;
  // One byte at a time: no cut between reads may matter.
  while (read(STDIN_FILENO, &byte, 1) == 1) {
    reader.push(&byte, 1);
    wire::CommandReader::Outcome outcome;
    while ((outcome = reader.next(command)) == wire::CommandReader::Outcome::command) {
      std::printf("%d %u", static_cast<int>(command.type), command.sequence);
      for (double number : command.numbers) std::printf(" %.17g", number);
      for (const std::string& text : command.texts) {
        std::printf(" '");
        printText(text);
        std::printf("'");
      }
      std::printf("\n");
    }
    if (outcome == wire::CommandReader::Outcome::fault) {
      std::printf("fault: %s\n", reader.faultText().c_str());
      return 1;
    }
  }
  std::printf("unfinished %zu\n", reader.unfinished());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 64;
  const std::string_view mode = arguments[1];
  return mode == "write" ? writeFrames() : mode == "encode" ? encodeFrames() : readCommands();
}
