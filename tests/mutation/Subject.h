// Kernels that mutants are made of, each with what it takes to launch it.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace attn::mutation {

/// When asynchronous work is done.
struct Schedule {
  std::string name;
  int completion = 0; ///< emulator::AsyncCompletion
  std::uint64_t seed = 0;
};

/// Early, late, and three by chance.
const std::vector<Schedule> &schedules();

struct Outcome {
  bool isLoaded = false;
  std::string finding; ///< the message of the first finding; empty: none
  std::string output;  ///< the bytes of all outputs
  std::set<unsigned> lines; ///< that some lane executed
};

class Subject {
public:
  virtual ~Subject() = default;
  virtual std::string name() const = 0;
  virtual std::string target() const = 0;
  virtual std::vector<std::string> entries() const = 0;
  virtual std::string text() const = 0;
  /// How many inputs there are to run it on.
  virtual std::size_t inputs() const { return 1; }
  /// Runs `ptx`, the text or a mutant of it, with all checks. The launch ends, whatever the mutant does.
  virtual Outcome run(const std::string &ptx, const Schedule &schedule, std::size_t input) = 0;
};

/// What the compiler makes of specifications (SpecSubjects.cpp). Messages go to `error`.
std::vector<std::unique_ptr<Subject>> specSubjects(const std::string &target, std::string &error);
/// Kernels of others: tests/emulator/hopper (ForeignSubjects.cpp).
std::vector<std::unique_ptr<Subject>> foreignSubjects();

} // namespace attn::mutation
