// Numbers for instrument ids, from 1 in the order of first mention. Looked up by the callback thread for each tick, so
// a look-up takes no lock; entries are only ever added, and live as long as the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

class InstrumentNumbers {
 public:
  static constexpr std::size_t countMax = 65'536;

  struct Entry {
    char id[81];
    std::uint8_t length;
    std::uint32_t number;
    /// Sequence of the last subscribe or unsubscribe that named it.
    std::atomic<std::int32_t> request{0};

    std::string_view text() const { return {id, length}; }
  };

  /// Null when it was never mentioned.
  Entry* find(std::string_view id) const {
    for (std::size_t at = hash(id);; at++) {
      Entry* entry = slots[at & mask].load(std::memory_order_acquire);
      if (entry == nullptr || entry->text() == id) return entry;
    }
  }

  /// Finds or adds; `define(entry)` is called once per entry, before anybody else can find it. Null when the table is
  /// full, or the id is longer than any vendor field.
  template <class Define>
  Entry* add(std::string_view id, Define define) {
    if (Entry* known = find(id)) return known;
    std::lock_guard<std::mutex> onlyWriter(writers);
    if (Entry* known = find(id)) return known;
    if (count == countMax || id.empty() || id.size() > sizeof Entry::id) return nullptr;
    auto* entry = new Entry;
    id.copy(entry->id, id.size());
    entry->length = static_cast<std::uint8_t>(id.size());
    entry->number = static_cast<std::uint32_t>(++count);
    define(*entry);
    std::size_t at = hash(id);
    while (slots[at & mask].load(std::memory_order_relaxed) != nullptr) at++;
    slots[at & mask].store(entry, std::memory_order_release);
    return entry;
  }

 private:
  static constexpr std::size_t mask = 2 * countMax - 1;

  static std::size_t hash(std::string_view id) {
    std::uint64_t value = 0xcbf29ce484222325;
    for (char c : id) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return static_cast<std::size_t>(value ^ (value >> 29));
  }

  std::unique_ptr<std::atomic<Entry*>[]> slots{new std::atomic<Entry*>[2 * countMax]()};
  std::mutex writers;
  std::size_t count = 0;
};
