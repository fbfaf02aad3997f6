// Everything between a vendor callback and the pipe. A callback only ever stores into memory here; one writer thread
// drains it to fd 3. Ticks lie in a ring in which a full ring overwrites its oldest (counted); all other frames wait in
// a list that never loses one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "wire.hpp"

wire::Moment momentNow();

/// A line for the supervisor's log. Never waits: what finds no room is lost, and the vendor's callback goes on.
void logLine(std::string_view text);

class Outbox {
 public:
  /// `ringTicks` is rounded up to a power of two. Starts the writer thread.
  Outbox(int fd, std::size_t ringTicks);

  /// Never blocks on the pipe. The record's header is filled in here and by the writer.
  void tick(wire::Tick& record);
  /// Never loses a frame; order against ticks of the same thread is kept.
  void message(wire::Type type, const wire::MessageFields& fields) { message(type, momentNow(), fields); }
  void message(wire::Type type, wire::Moment moment, const wire::MessageFields& fields);

  /// Counts a tick that could not even be given an instrument number.
  void countUnplaced() { unplaced.fetch_add(1, std::memory_order_relaxed); }

  /// Waits until the writer has written what was put in before, at most `ms`. False when it has not: the reader is
  /// stalled.
  bool flush(int ms);
  /// The same, and then the counters a last time.
  bool finish(int ms);

 private:
  static constexpr std::size_t words = wire::tickBytes / 8;

  /// A seqlock: `stamp` is 2 * index + 1 while tick `index` is being stored and 2 * index + 2 once it lies there.
  struct Slot {
    std::atomic<std::uint64_t> stamp{0};
    std::atomic<std::uint64_t> word[words];
  };

  struct Letter {
    Letter* next;
    /// Ticks that were stored before this frame, and so go out before it.
    std::uint64_t ticksBefore;
    std::vector<unsigned char> frame;
  };

  /// What the writer sleeps for; a producer that finds the condition met wakes it.
  enum Nap : int { awake, forAnything, forManyTicks };

  void run();
  void wake(std::uint64_t ticksPending);
  void nap(Nap kind, double ms);
  bool idle(std::uint64_t written) const;
  void drain();
  void copyTicks(std::uint64_t upTo);
  void copyFrame(std::vector<unsigned char>& frame);
  void copyCounters();
  void writeBatch();

  const int fd;
  const std::size_t mask;
  std::unique_ptr<Slot[]> ring;
  std::mutex producers;

  std::atomic<std::uint64_t> stored{0};
  std::atomic<std::uint64_t> taken{0};
  std::atomic<Letter*> letters{nullptr};
  std::atomic<std::size_t> letterBytes{0};
  std::atomic<std::uint64_t> unplaced{0};
  std::atomic<int> napping{awake};
  std::atomic<std::uint64_t> lettersPut{0};
  std::atomic<std::uint64_t> lettersDone{0};
  std::atomic<std::uint64_t> ticksDone{0};
  enum Farewell : int { none, asked, said };
  std::atomic<int> farewell{none};
  int wakeFd;

  std::uint64_t ticksWritten = 0;
  std::uint64_t ticksDropped = 0;
  std::uint64_t highWater = 0;
  std::uint32_t sequence = 0;
  double nextCountersMs = 0;
  std::vector<unsigned char> batch;
  std::thread writer;
};
