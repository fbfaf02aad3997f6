// What both kinds of session have in common: one vendor object per process, commands in, frames out, no decision of its
// own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exit-code.hpp"
#include "outbox.hpp"
#include "vendor-library.hpp"
#include "wire.hpp"

/// Returned for a request that the bridge did not hand to the vendor: told apart from the vendor's -1, -2 and -3.
constexpr int notHandedOver = -100;

struct StartOptions {
  std::vector<std::string> fronts;
  std::string flowDirectory;
  std::string library;
  bool production;
  bool wholeStatusDay;
};

class Session {
 public:
  explicit Session(Outbox& outbox) : outbox(outbox) {}

  /// Loads, creates, registers, inits. After a refusal the process must end.
  virtual std::optional<Refusal> start(const StartOptions& options) = 0;
  virtual void login(const wire::Command& command) = 0;
  virtual void subscribe(const wire::Command& command) { notMine(command); }
  virtual void unsubscribe(const wire::Command& command) { notMine(command); }
  virtual void authenticate(const wire::Command& command) { notMine(command); }
  virtual void queryInstruments(const wire::Command& command) { notMine(command); }

 protected:
  ~Session() = default;

  /// Answers a command with what the vendor's function returned.
  void requested(const wire::Command& command, int code) {
    outbox.message(wire::Type::requested, {code, command.request()});
  }
  void refused(const wire::Command& command, std::string_view message, std::string_view remedy) {
    outbox.message(wire::Type::frontError, {notHandedOver, command.request(), {message, remedy}});
    requested(command, notHandedOver);
  }
  void notMine(const wire::Command& command) {
    refused(command, "this kind of session has no such command", "This is a fault of the supervisor: report it.");
  }

  static Refusal noObject(const std::string& kind) {
    return {exitCode::vendor, "the vendor library made no " + kind + " object",
            "Look at the bridge's log for the vendor's own words."};
  }

  Outbox& outbox;
};

Session& mdSession(Outbox& outbox);
/// Only where the SDK has the trader library; else a session that refuses to start.
Session& traderSession(Outbox& outbox);

/// What the build recorded, by session.
LibraryRecord mdLibraryRecord();
LibraryRecord traderLibraryRecord();
/// Loads the library and nothing more, for checks before anything starts.
LoadedLibrary loadMdLibrary(const std::string& given, std::optional<Refusal>& refusal);
LoadedLibrary loadTraderLibrary(const std::string& given, std::optional<Refusal>& refusal);
