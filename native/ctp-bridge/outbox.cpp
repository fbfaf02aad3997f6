#include "outbox.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "exit-code.hpp"

namespace {

constexpr double coalesceMs = 1;
constexpr std::uint64_t coalesceTicks = 64;
constexpr double countersEveryMs = 1000;
/// One write at most: large enough that a backlog is cheap, small enough that the reader never waits for it.
constexpr std::size_t batchBytes = 64 * 1024;
/// Frames other than ticks are never dropped, so a reader that takes none for ever ends the bridge instead of filling
/// the memory.
constexpr std::size_t letterBytesMax = 64 * 1024 * 1024;

std::size_t powerOfTwo(std::size_t atLeast) {
  std::size_t size = 64;
  while (size < atLeast) size *= 2;
  return size;
}

double ms(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1000 + static_cast<double>(time.tv_nsec) / 1e6;
}

}  // namespace

wire::Moment momentNow() { return {ms(CLOCK_REALTIME), ms(CLOCK_MONOTONIC)}; }

void logLine(std::string_view text) {
  const std::string line = "ctp-bridge: " + std::string(text) + "\n";
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // nobody reads it
}

Outbox::Outbox(int fd, std::size_t ringTicks)
    : fd(fd),
      mask(powerOfTwo(ringTicks) - 1),
      ring(new Slot[mask + 1]),
      wakeFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wakeFd < 0) {
    logLine(std::string("no event descriptor: ") + std::strerror(errno) +
            ". Raise the limit of open files (ulimit -n).");
    _exit(exitCode::system);
  }
  batch.reserve(batchBytes + wire::frameBytesMax);
  nextCountersMs = ms(CLOCK_MONOTONIC) + countersEveryMs;
  writer = std::thread([this] { run(); });
}

void Outbox::tick(wire::Tick& record) {
  record.length = wire::tickBytes;
  record.type = static_cast<std::uint16_t>(wire::Type::tick);
  record.flags = 0;
  record.sequence = 0;
  std::uint64_t copy[words];
  std::memcpy(copy, &record, sizeof copy);

  // Libraries call back from one thread; the lock only makes one that does not harmless. The writer never takes it.
  std::lock_guard<std::mutex> onlyProducer(producers);
  const std::uint64_t index = stored.load(std::memory_order_relaxed);
  Slot& slot = ring[index & mask];
  slot.stamp.store(2 * index + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  for (std::size_t i = 0; i < words; i++) slot.word[i].store(copy[i], std::memory_order_relaxed);
  slot.stamp.store(2 * index + 2, std::memory_order_release);
  stored.store(index + 1);
  wake(index + 1 - taken.load(std::memory_order_relaxed));
}

void Outbox::message(wire::Type type, wire::Moment moment, const wire::MessageFields& fields) {
  auto* letter = new Letter{nullptr, stored.load(), wire::encodeMessage(type, moment, fields)};
  if (letterBytes.fetch_add(letter->frame.size()) > letterBytesMax) {
    logLine("the supervisor has read nothing for too long, " + std::to_string(letterBytesMax) +
            " bytes of frames wait");
    _exit(exitCode::pipe);
  }
  lettersPut.fetch_add(1);
  letter->next = letters.load(std::memory_order_relaxed);
  while (!letters.compare_exchange_weak(letter->next, letter)) {
  }
  wake(coalesceTicks);
}

/// The writer announces its nap before it looks for work a last time, a producer stores before it looks for a nap: one
/// sees the other.
void Outbox::wake(std::uint64_t ticksPending) {
  const int nap = napping.load();
  if (nap == awake || (nap == forManyTicks && ticksPending < coalesceTicks)) return;
  if (napping.exchange(awake) == awake) return;
  const std::uint64_t one = 1;
  if (write(wakeFd, &one, sizeof one) < 0) return;  // only when it is signalled already
}

bool Outbox::idle(std::uint64_t written) const {
  return stored.load() == written && letters.load() == nullptr && farewell.load() != asked;
}

void Outbox::nap(Nap kind, double napMs) {
  if (napMs <= 0) return;
  napping.store(kind);
  const std::uint64_t seen = taken.load(std::memory_order_relaxed);
  const bool work = kind == forAnything ? !idle(seen) : stored.load() - seen >= coalesceTicks;
  bool woken = false;
  if (!work) {
    const auto nanoseconds = static_cast<long long>(napMs * 1e6);
    const timespec time{static_cast<time_t>(nanoseconds / 1'000'000'000),
                        static_cast<long>(nanoseconds % 1'000'000'000)};
    pollfd event{wakeFd, POLLIN, 0};
    woken = ppoll(&event, 1, &time, nullptr) > 0;
  }
  napping.store(awake);
  std::uint64_t signals;
  if (woken && read(wakeFd, &signals, sizeof signals) < 0) return;
}

void Outbox::run() {
  for (;;) {
    nap(forAnything, nextCountersMs - ms(CLOCK_MONOTONIC));
    if (!idle(taken.load(std::memory_order_relaxed))) nap(forManyTicks, coalesceMs);
    drain();
    const bool isLast = farewell.load() == asked;
    if (isLast || ms(CLOCK_MONOTONIC) >= nextCountersMs) copyCounters();
    writeBatch();
    if (isLast) farewell.store(said);
  }
}

/// Frames keep the order in which one thread put them: the count of ticks is read before the list, so every frame that
/// precedes a tick counted here is in the list taken after.
void Outbox::drain() {
  const std::uint64_t upTo = stored.load();
  Letter* newestFirst = letters.exchange(nullptr);
  Letter* inOrder = nullptr;
  while (newestFirst != nullptr) {
    Letter* next = newestFirst->next;
    newestFirst->next = inOrder;
    inOrder = newestFirst;
    newestFirst = next;
  }
  std::uint64_t copied = 0;
  while (inOrder != nullptr) {
    copyTicks(inOrder->ticksBefore);
    copyFrame(inOrder->frame);
    letterBytes.fetch_sub(inOrder->frame.size());
    Letter* next = inOrder->next;
    delete inOrder;
    inOrder = next;
    copied++;
  }
  copyTicks(upTo);
  writeBatch();
  lettersDone.fetch_add(copied);
  ticksDone.store(taken.load(std::memory_order_relaxed));
}

void Outbox::copyTicks(std::uint64_t upTo) {
  std::uint64_t index = taken.load(std::memory_order_relaxed);
  while (index < upTo) {
    const std::uint64_t waiting = stored.load() - index;
    if (waiting > highWater) highWater = waiting > mask ? mask + 1 : waiting;
    // Leaves a margin behind the producer, or every copy of a full ring would be overtaken while it is made.
    if (waiting > mask) {
      const std::uint64_t skipped = waiting - mask + mask / 8;
      ticksDropped += skipped;
      // A hole in the numbers of the frames, so that the reader sees where it was.
      sequence += static_cast<std::uint32_t>(skipped);
      index += skipped;
      if (index >= upTo) break;
    }

    Slot& slot = ring[index & mask];
    const std::uint64_t before = slot.stamp.load(std::memory_order_acquire);
    std::uint64_t copy[words];
    for (std::size_t i = 0; i < words; i++) copy[i] = slot.word[i].load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    const bool whole = before == 2 * index + 2 && slot.stamp.load(std::memory_order_relaxed) == before;
    index++;
    if (!whole) {
      ticksDropped++;
      sequence++;
      continue;
    }
    const std::uint32_t number = ++sequence;
    const std::size_t at = batch.size();
    batch.resize(at + wire::tickBytes);
    std::memcpy(batch.data() + at, copy, wire::tickBytes);
    std::memcpy(batch.data() + at + 8, &number, sizeof number);
    ticksWritten++;
    if (batch.size() >= batchBytes) {
      taken.store(index, std::memory_order_relaxed);
      writeBatch();
    }
  }
  taken.store(index, std::memory_order_relaxed);
}

void Outbox::copyFrame(std::vector<unsigned char>& frame) {
  const std::uint32_t number = ++sequence;
  std::memcpy(frame.data() + 8, &number, sizeof number);
  batch.insert(batch.end(), frame.begin(), frame.end());
  if (batch.size() >= batchBytes) writeBatch();
}

void Outbox::copyCounters() {
  const double lost = static_cast<double>(unplaced.load(std::memory_order_relaxed));
  const double received = static_cast<double>(stored.load()) + lost;
  const double written = static_cast<double>(ticksWritten);
  const double dropped = static_cast<double>(ticksDropped) + lost;
  auto frame = wire::encodeMessage(wire::Type::counters, momentNow(),
                                   {0, 0, {}, {received, written, dropped, static_cast<double>(highWater)}});
  copyFrame(frame);
  const double now = ms(CLOCK_MONOTONIC);
  nextCountersMs += countersEveryMs;
  if (nextCountersMs <= now) nextCountersMs = now + countersEveryMs;
}

void Outbox::writeBatch() {
  std::size_t at = 0;
  while (at < batch.size()) {
    const ssize_t wrote = write(fd, batch.data() + at, batch.size() - at);
    if (wrote > 0) {
      at += static_cast<std::size_t>(wrote);
    } else if (errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      // The supervisor is gone. Nobody is left to tell, and the vendor's objects must not be destroyed.
      _exit(exitCode::pipe);
    }
  }
  batch.clear();
}

namespace {

template <class Condition>
bool within(int waitMs, Condition isMet) {
  for (int waited = 0; waited < waitMs && !isMet(); waited++) {
    const timespec oneMs{0, 1'000'000};
    nanosleep(&oneMs, nullptr);
  }
  return isMet();
}

}  // namespace

bool Outbox::flush(int waitMs) {
  const std::uint64_t messages = lettersPut.load();
  const std::uint64_t ticks = stored.load();
  return within(waitMs, [&] { return lettersDone.load() >= messages && ticksDone.load() >= ticks; });
}

bool Outbox::finish(int waitMs) {
  if (!flush(waitMs)) return false;
  farewell.store(asked);
  wake(coalesceTicks);
  return within(waitMs, [&] { return farewell.load() == said; });
}
