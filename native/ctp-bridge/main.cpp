// The CTP bridge: one process holds one vendor session of one line. Commands in on stdin, frames out on fd 3, no
// policy; what the vendor prints on stdout and stderr is only log text. It ends by _exit, because vendor objects are
// known to hang or crash when they are destroyed.
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit-code.hpp"
#include "front-address.hpp"
#include "session.hpp"

namespace {

constexpr int framesFd = 3;
constexpr std::size_t ringTicksDefault = 65'536;
constexpr std::size_t ringTicksMax = 1'048'576;
/// A supervisor that closes stdin kills us 300 ms later; one that is told a refusal is in no hurry.
constexpr int lastTicksMs = 200;
constexpr int lastWordsMs = 2'000;

const char* const usage =
    "usage: ctp-bridge [--ring-ticks N]        speak the bridge protocol on stdin and fd 3\n"
    "       ctp-bridge --check md|td [LIBRARY]  load the vendor library and print what it is\n";

const char* const supervisorsFault = "This is a fault of the supervisor: report it.";

/// Not exit: the vendor's threads may be running, and nothing may be destroyed on the way out.
[[noreturn]] void refuse(Outbox& outbox, const Refusal& refusal) {
  logLine(refusal.message + ". " + refusal.remedy);
  outbox.message(wire::Type::frontError, {-refusal.exitCode, 0, {refusal.message, refusal.remedy}});
  outbox.flush(lastWordsMs);
  _exit(refusal.exitCode);
}

/// A password may be in memory at any time, so none of it may reach a disk.
void leaveNoCore() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

/// The vendor prints from its own threads, and a callback that waits for a reader of its log stalls the market. What
/// finds no room is lost.
void neverWaitForLogs() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status {};
    if (fstat(fd, &status) != 0 || !(S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))) continue;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  }
}

volatile std::sig_atomic_t isToldToEnd = 0;
/// SIGTERM reaches this thread, and only while it waits for a command.
sigset_t whileWaiting;

void obeySignals() {
  // A supervisor that died shows as EPIPE; a Ctrl-C or a hang-up of its terminal is for it alone, and reaches us as the
  // end of stdin.
  for (const int signal : {SIGPIPE, SIGINT, SIGHUP}) std::signal(signal, SIG_IGN);
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &terminate, &whileWaiting);
  sigdelset(&whileWaiting, SIGTERM);
  struct sigaction action {};
  action.sa_handler = [](int) { isToldToEnd = 1; };
  sigaction(SIGTERM, &action, nullptr);
}

/// As read(2) on stdin; SIGTERM counts as its end.
ssize_t nextBytes(unsigned char* bytes, std::size_t count) {
  for (;;) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = ppoll(&input, 1, nullptr, &whileWaiting);
    if (isToldToEnd) return 0;
    const ssize_t got = ready < 0 ? -1 : read(STDIN_FILENO, bytes, count);
    if (got >= 0 || (errno != EINTR && errno != EAGAIN)) return got;
  }
}

/// Two vendor objects in one flow directory overwrite each other's counters. Held until this process ends, however it
/// ends.
std::optional<Refusal> claim(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int why = errno;
    if (why == EWOULDBLOCK) {
      return Refusal{exitCode::busy, "another bridge works in the flow directory '" + directory + "'",
                     "Nothing to do where that is a session that ends soon; if it stays, look for a bridge process "
                     "without its supervisor."};
    }
    return Refusal{exitCode::system, "the flow directory '" + directory + "' can't be locked: " + std::strerror(why),
                   "Use a local file system for the state directory, and check the limit of open files (ulimit -n)."};
  }
  return std::nullopt;
}

bool isYes(std::string_view text) { return text != "0" && text != "false"; }

/// Everything that is known to kill a vendor library is caught here, where it can still be told in words.
std::optional<Refusal> readOptions(const wire::Command& command, StartOptions& options) {
  options.fronts = frontAddress::lines(command.option("fronts"));
  if (options.fronts.empty())
    return Refusal{exitCode::refused, "start names no front address", "Set MD_ADDRESS or TD_ADDRESS of the line."};
  if (options.fronts.size() > frontAddress::countMax)
    return Refusal{exitCode::refused, "start names more than 16 front addresses", "List fewer fronts."};
  for (const std::string& front : options.fronts) {
    if (!frontAddress::wellFormed(front)) {
      return Refusal{exitCode::refused, "malformed front address '" + front + "'",
                     "Write it as tcp://host:port, ssl://host:port or tcp6://address:port."};
    }
  }

  const std::string directory(command.option("flow_dir"));
  struct stat status {};
  if (directory.empty() || stat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return Refusal{exitCode::refused, "the flow directory '" + directory + "' does not exist",
                   "Create it: the vendor library aborts without it."};
  }
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    return Refusal{exitCode::refused, "the flow directory '" + directory + "' can't be written",
                   "Give the supervisor's user the right to write there."};
  }
  if (auto refusal = claim(directory)) return refusal;
  // The vendor uses it as the beginning of file names.
  options.flowDirectory = directory.back() == '/' ? directory : directory + "/";
  options.library = command.option("library");
  options.production = isYes(command.option("production_mode", "1"));
  const std::string_view topic = command.option("public_topic", "quick");
  if (topic != "quick" && topic != "restart")
    return Refusal{exitCode::refused, "public_topic must be quick or restart", supervisorsFault};
  options.wholeStatusDay = topic == "restart";
  return std::nullopt;
}

class Bridge {
 public:
  explicit Bridge(Outbox& outbox) : outbox(outbox) {}

  void obey(const wire::Command& command) {
    using wire::Type;
    if (command.type == Type::start) return start(command);
    if (command.type == Type::advance) return complain(command, "this bridge plays no recording");
    if (session == nullptr) return complain(command, "command before start");
    try {
      pass(command);
    } catch (const std::exception& thrown) {
      refuse(outbox, vendorThrew(thrown.what()));
    } catch (...) {
      refuse(outbox, vendorThrew("something that is no std::exception"));
    }
  }

 private:
  void pass(const wire::Command& command) {
    using wire::Type;
    switch (command.type) {
      case Type::login:
        return session->login(command);
      case Type::subscribe:
        return session->subscribe(command);
      case Type::unsubscribe:
        return session->unsubscribe(command);
      case Type::authenticate:
        return session->authenticate(command);
      case Type::queryInstruments:
        return session->queryInstruments(command);
      default:
        return complain(command, "no such command");
    }
  }

  void start(const wire::Command& command) {
    // A second vendor object in one process is known to crash; the supervisor starts another process instead.
    if (session != nullptr) return complain(command, "started already");
    const std::string_view kind = command.option("session", "md");
    if (kind != "md" && kind != "td") refuse(outbox, {exitCode::refused, "session must be md or td", supervisorsFault});
    StartOptions options;
    if (auto refusal = readOptions(command, options)) refuse(outbox, *refusal);
    Session& created = kind == "td" ? traderSession(outbox) : mdSession(outbox);
    try {
      if (auto refusal = created.start(options)) refuse(outbox, *refusal);
    } catch (const std::exception& thrown) {
      refuse(outbox, vendorThrew(thrown.what()));
    } catch (...) {
      refuse(outbox, vendorThrew("something that is no std::exception"));
    }
    session = &created;
  }

  static Refusal vendorThrew(const std::string& what) {
    return {exitCode::vendor, "the vendor library threw: " + what,
            "Check the flow directory and the limit of open files (ulimit -n) of the supervisor."};
  }

  void complain(const wire::Command& command, std::string_view why) {
    const std::string message =
        std::string(why) + " (command type " + std::to_string(static_cast<int>(command.type)) + ")";
    outbox.message(wire::Type::frontError, {notHandedOver, command.request(), {message, supervisorsFault}});
    outbox.message(wire::Type::requested, {notHandedOver, command.request()});
  }

  Outbox& outbox;
  Session* session = nullptr;
};

[[noreturn]] void serve(std::size_t ringTicks) {
  if (fcntl(framesFd, F_SETFD, FD_CLOEXEC) < 0) {
    logLine(std::string("nobody listens on file descriptor 3\n") + usage);
    _exit(exitCode::usage);
  }
  neverWaitForLogs();
  // Never destroyed: vendor threads use it until the process ends.
  auto& outbox = *new Outbox(framesFd, ringTicks);
  outbox.message(wire::Type::hello,
                 {wire::protocolVersion, 0, {"ctp", mdLibraryRecord().apiVersion}, {static_cast<double>(getpid())}});

  Bridge bridge(outbox);
  wire::CommandReader reader;
  wire::Command command;
  const auto protocolFault = [&](const std::string& why) {
    refuse(outbox, {exitCode::protocol, "stdin does not speak the bridge protocol: " + why,
                    "Supervisor and bridge are of different versions: build the bridge again."});
  };
  for (;;) {
    unsigned char bytes[wire::frameBytesMax];
    const ssize_t got = nextBytes(bytes, sizeof bytes);
    if (got < 0) {
      refuse(outbox, {exitCode::system, std::string("stdin can't be read: ") + std::strerror(errno), supervisorsFault});
    }
    if (got == 0) break;
    reader.push(bytes, static_cast<std::size_t>(got));
    explicit_bzero(bytes, static_cast<std::size_t>(got));
    wire::CommandReader::Outcome outcome;
    while ((outcome = reader.next(command)) == wire::CommandReader::Outcome::command) {
      bridge.obey(command);
      if (command.type == wire::Type::login || command.type == wire::Type::authenticate) command.wipe();
    }
    if (outcome == wire::CommandReader::Outcome::fault) protocolFault(reader.faultText());
  }
  if (reader.unfinished() > 0 && !isToldToEnd) {
    protocolFault("it ends after " + std::to_string(reader.unfinished()) + " bytes of a command");
  }
  outbox.finish(lastTicksMs);
  _exit(exitCode::done);
}

std::string jsonText(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) quoted += c;
  }
  return quoted + "\"";
}

[[noreturn]] void check(const std::string& kind, const std::string& given) {
  std::optional<Refusal> refusal;
  const LoadedLibrary library = kind == "td" ? loadTraderLibrary(given, refusal) : loadMdLibrary(given, refusal);
  std::printf("{\"session\":%s,\"library\":%s,\"api_version\":%s,\"message\":%s,\"remedy\":%s}\n",
              jsonText(kind).c_str(), jsonText(library.path).c_str(), jsonText(library.apiVersion).c_str(),
              jsonText(refusal ? refusal->message : "").c_str(), jsonText(refusal ? refusal->remedy : "").c_str());
  std::fflush(stdout);
  _exit(refusal ? refusal->exitCode : exitCode::done);
}

[[noreturn]] void wrongUsage() {
  std::fputs(usage, stderr);
  _exit(exitCode::usage);
}

}  // namespace

int main(int count, char** arguments) {
  leaveNoCore();
  obeySignals();
  const std::string_view first = count > 1 ? arguments[1] : "";
  if (first == "--check" && (count == 3 || count == 4)) {
    const std::string kind = arguments[2];
    if (kind != "md" && kind != "td") wrongUsage();
    check(kind, count == 4 ? arguments[3] : "");
  }
  std::size_t ringTicks = ringTicksDefault;
  if (first == "--ring-ticks" && count == 3) {
    const std::string_view text = arguments[2];
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), ringTicks);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || ringTicks == 0 ||
        ringTicks > ringTicksMax)
      wrongUsage();
  } else if (count > 1) {
    wrongUsage();
  }
  serve(ringTicks);
}
