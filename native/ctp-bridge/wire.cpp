// Encoding of frames to the supervisor and decoding of its commands. The decoder trusts nothing: each length is checked
// before use.
#include "wire.hpp"

#include <algorithm>

namespace wire {

namespace {

constexpr std::size_t roundUpTo8(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

template <class Value>
void put(std::vector<unsigned char>& frame, std::size_t at, Value value) {
  std::memcpy(frame.data() + at, &value, sizeof value);
}

template <class Value>
Value get(const unsigned char* bytes) {
  Value value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

bool isCommand(std::uint16_t type) {
  return type >= static_cast<std::uint16_t>(Type::start) && type <= static_cast<std::uint16_t>(Type::queryInstruments);
}

}  // namespace

std::vector<unsigned char> encodeParts(Type type, Moment moment, const MessageParts& parts) {
  std::size_t bytes = messageHeaderBytes + parts.numberCount * 8;
  std::size_t room = frameBytesMax - bytes - 2 * parts.textCount;
  std::vector<std::string_view> texts;
  texts.reserve(parts.textCount);
  for (std::size_t i = 0; i < parts.textCount; i++) {
    const std::string_view cut = parts.texts[i].substr(0, room);
    room -= cut.size();
    bytes += 2 + cut.size();
    texts.push_back(cut);
  }

  std::vector<unsigned char> frame(roundUpTo8(bytes));
  put(frame, 0, static_cast<std::uint32_t>(frame.size()));
  put(frame, 4, static_cast<std::uint16_t>(type));
  put(frame, 12, parts.instrument);
  put(frame, 16, moment.wallMs);
  put(frame, 24, moment.monotonicMs);
  put(frame, 32, parts.code);
  put(frame, 36, parts.request);
  put(frame, 40, static_cast<std::uint16_t>(parts.numberCount));
  put(frame, 42, static_cast<std::uint16_t>(texts.size()));
  std::size_t at = messageHeaderBytes;
  for (std::size_t i = 0; i < parts.numberCount; i++, at += 8) put(frame, at, parts.numbers[i]);
  for (const std::string_view text : texts) {
    put(frame, at, static_cast<std::uint16_t>(text.size()));
    text.copy(reinterpret_cast<char*>(frame.data() + at + 2), text.size());
    at += 2 + text.size();
  }
  return frame;
}

std::string_view Command::option(std::string_view name, std::string_view otherwise) const {
  for (std::size_t i = 0; i + 1 < texts.size(); i += 2) {
    if (texts[i] == name) return texts[i + 1];
  }
  return otherwise;
}

CommandReader::Outcome CommandReader::refuse(std::string why) {
  fault = std::move(why);
  return Outcome::fault;
}

void Command::wipe() {
  for (std::string& text : texts) explicit_bzero(text.data(), text.size());
}

void CommandReader::push(const unsigned char* bytes, std::size_t count) {
  if (count > capacity - filled) return static_cast<void>(refuse("more bytes at once than a frame may have"));
  std::memcpy(held.get() + filled, bytes, count);
  filled += count;
}

CommandReader::Outcome CommandReader::next(Command& command) {
  if (!fault.empty()) return Outcome::fault;
  const unsigned char* frame = held.get() + taken;
  const std::size_t available = filled - taken;
  const auto needMore = [this] {
    std::memmove(held.get(), held.get() + taken, filled - taken);
    explicit_bzero(held.get() + filled - taken, taken);
    filled -= taken;
    taken = 0;
    return Outcome::needMore;
  };

  if (available < 8) return needMore();
  const auto length = get<std::uint32_t>(frame);
  const auto type = get<std::uint16_t>(frame + 4);
  const auto flags = get<std::uint16_t>(frame + 6);
  if (!isCommand(type)) return refuse("unknown command type " + std::to_string(type));
  if (flags != 0)
    return refuse("command of type " + std::to_string(type) + " has flags " + std::to_string(flags) +
                  ": not protocol version 1");
  if (length < messageHeaderBytes || length > frameBytesMax || length % 8 != 0) {
    return refuse("command of type " + std::to_string(type) + " has the impossible length " + std::to_string(length));
  }
  if (available < length) return needMore();

  command.type = static_cast<Type>(type);
  command.sequence = get<std::uint32_t>(frame + 8);
  if (!decodeBody(frame, length, command)) return Outcome::fault;
  taken += length;
  return Outcome::command;
}

bool CommandReader::decodeBody(const unsigned char* frame, std::size_t length, Command& command) {
  const std::string name = "command of type " + std::to_string(static_cast<std::uint16_t>(command.type));
  const std::size_t numberCount = get<std::uint16_t>(frame + 40);
  const std::size_t textCount = get<std::uint16_t>(frame + 42);
  std::size_t at = messageHeaderBytes;
  if (numberCount * 8 > length - at) {
    fault = name + " is too short for " + std::to_string(numberCount) + " numbers";
    return false;
  }
  command.numbers.clear();
  for (std::size_t i = 0; i < numberCount; i++, at += 8) command.numbers.push_back(get<double>(frame + at));

  command.texts.clear();
  // Room for all at once: a vector that grows leaves copies of short texts behind.
  command.texts.reserve(std::min(textCount, (length - at) / 2));
  for (std::size_t i = 0; i < textCount; i++) {
    const std::size_t bytes = at + 2 <= length ? get<std::uint16_t>(frame + at) : length;
    if (at + 2 + bytes > length) {
      fault = name + " is too short for its text " + std::to_string(i + 1);
      return false;
    }
    command.texts.emplace_back(reinterpret_cast<const char*>(frame + at + 2), bytes);
    at += 2 + bytes;
  }
  return true;
}

}  // namespace wire
