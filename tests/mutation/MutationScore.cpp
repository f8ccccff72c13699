// How many broken kernels the sanitizer notices.
//
//   mutation_score [--target=sm_80|sm_90a] [--kernel=NAME] [--verbose] [--least=0.95]
//
// Correct kernels run first, and must be silent, under early, late and three random completions. Then each mutant
// (Mutants.h) of an instruction that they execute runs until something is reported. What nothing is reported about either computes something else, which
// counts against the score, or the same; of the latter those that Equivalent.def argues to be as good as the kernel do not
// count, all others do. Exits 1 where a correct kernel is accused, a row of that file is out of use, or the score is below
// `--least`.
#include "tests/mutation/Mutants.h"
#include "tests/mutation/Subject.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <map>
#include <string_view>

namespace attn::mutation {

namespace {

struct Options {
  std::string target, kernel;
  bool verbose = false;
  double least = 0.95;
};

enum class Verdict { Refused, Reported, Wrong, Unnoticed, Equivalent };

struct Score {
  unsigned reported = 0, wrong = 0, unnoticed = 0, equivalent = 0, refused = 0;
  std::map<std::string, unsigned> byId;

  unsigned counted() const { return reported + wrong + unnoticed; }
  double share() const { return counted() ? double(reported) / counted() : 1; }
  void add(const Score &other) {
    reported += other.reported, wrong += other.wrong, unnoticed += other.unnoticed, equivalent += other.equivalent, refused += other.refused;
    for (const auto &[id, count] : other.byId)
      byId[id] += count;
  }
};

/// A mutant that does what the kernel does, with the reason.
struct Equivalent {
  std::string_view kernel, change, instruction;
  unsigned most; ///< of one kernel
  std::string_view reason;
};
constexpr Equivalent kEquivalents[] = {
#define ATTN_EQUIVALENT(kernel, change, instruction, most, reason) {kernel, change, instruction, most, reason},
#include "tests/mutation/Equivalent.def"
#undef ATTN_EQUIVALENT
};

/// How many mutants of one kernel each row has taken.
using Uses = std::map<const Equivalent *, unsigned>;

} // namespace

static bool isEquivalent(const Subject &subject, const Mutant &mutant, Uses &uses) {
  for (const Equivalent &each : kEquivalents)
    if (fmt::format("{}.{}", subject.target(), subject.name()).starts_with(each.kernel) && each.change == mutant.change &&
        mutant.instruction.find(each.instruction) != std::string::npos && uses[&each] < each.most) {
      ++uses[&each];
      return true;
    }
  return false;
}

/// Early on all inputs first: that is where most are found.
static Verdict judge(Subject &subject, const Mutant &mutant, const std::vector<std::string> &expected, Uses &uses, std::string &finding) {
  Verdict verdict = Verdict::Unnoticed;
  for (const Schedule &schedule : schedules())
    for (std::size_t input = 0; input < subject.inputs(); ++input) {
      const Outcome outcome = subject.run(mutant.text, schedule, input);
      if (!outcome.isLoaded)
        return Verdict::Refused;
      finding = outcome.finding;
      if (!finding.empty())
        return Verdict::Reported;
      if (outcome.output != expected[input])
        verdict = Verdict::Wrong;
    }
  return verdict == Verdict::Unnoticed && isEquivalent(subject, mutant, uses) ? Verdict::Equivalent : verdict;
}

/// The id in "launch of `name`: R01 shared …".
static std::string idOf(const std::string &finding) {
  for (std::size_t at = 0; at + 3 <= finding.size(); ++at)
    if (std::isupper(static_cast<unsigned char>(finding[at])) && std::isdigit(static_cast<unsigned char>(finding[at + 1])) &&
        std::isdigit(static_cast<unsigned char>(finding[at + 2])) && (at == 0 || finding[at - 1] == ' '))
      return finding.substr(at, 3);
  return "other";
}

static bool isSilent(Subject &subject, std::vector<std::string> &expected, std::set<unsigned> &lines) {
  expected.resize(subject.inputs());
  for (const Schedule &schedule : schedules())
    for (std::size_t input = 0; input < subject.inputs(); ++input) {
      const Outcome outcome = subject.run(subject.text(), schedule, input);
      if (!outcome.isLoaded || !outcome.finding.empty() || (!expected[input].empty() && outcome.output != expected[input])) {
        fmt::print("{}.{}: the correct kernel, {}: {}\n", subject.target(), subject.name(), schedule.name,
                   !outcome.isLoaded ? "cannot be loaded" : outcome.finding.empty() ? "another result" : outcome.finding);
        return false;
      }
      expected[input] = outcome.output;
      lines.insert(outcome.lines.begin(), outcome.lines.end());
    }
  return true;
}

static void tell(const Mutant &mutant, Verdict verdict, const std::string &finding) {
  constexpr const char *kNames[] = {"refused", "reported", "WRONG", "UNNOTICED", "equivalent"};
  fmt::print("  {:10} {:26} line {:5} `{}` {}\n", kNames[static_cast<std::size_t>(verdict)], mutant.change, mutant.line,
             mutant.instruction.substr(0, 100), finding.substr(0, 160));
}

static bool scoreOf(Subject &subject, const Options &options, Score &score, Uses &all) {
  std::vector<std::string> expected;
  std::set<unsigned> lines;
  Uses uses;
  if (!isSilent(subject, expected, lines))
    return false;
  for (const std::string &entry : subject.entries())
    for (const Mutant &mutant : mutantsOf(subject.text(), entry)) {
      if (!lines.count(mutant.line))
        continue; // what is not executed here cannot be missed here
      std::string finding;
      const Verdict verdict = judge(subject, mutant, expected, uses, finding);
      const std::array<unsigned *, 5> counts = {&score.refused, &score.reported, &score.wrong, &score.unnoticed, &score.equivalent};
      ++*counts[static_cast<std::size_t>(verdict)];
      if (verdict == Verdict::Reported)
        ++score.byId[idOf(finding)];
      if (options.verbose || verdict == Verdict::Wrong || verdict == Verdict::Unnoticed)
        tell(mutant, verdict, finding);
    }
  for (const auto &[row, count] : uses)
    all[row] += count;
  return true;
}

static void print(const std::string &name, const Score &score) {
  fmt::print("{:36} {:5} {:9} {:6} {:10} {:11} {:7.1f} %\n", name, score.counted(), score.reported, score.wrong, score.unnoticed, score.equivalent,
             100 * score.share());
}

/// Rows that took no mutant of the targets that were run are of no use any more.
static bool areAllUsed(const Options &options, const Uses &uses) {
  bool result = true;
  for (const Equivalent &row : kEquivalents)
    if ((options.target.empty() || row.kernel.starts_with(options.target + ".")) && !uses.count(&row)) {
      fmt::print("Equivalent.def: `{}`, {}, `{}` takes no mutant: remove it\n", row.kernel, row.change, row.instruction);
      result = false;
    }
  return result;
}

static int run(const Options &options) {
  std::vector<std::unique_ptr<Subject>> subjects;
  std::string error;
  for (const char *target : {"sm_80", "sm_90a"})
    if (options.target.empty() || options.target == target)
      for (auto &subject : specSubjects(target, error))
        subjects.push_back(std::move(subject));
  if (options.target != "sm_80")
    for (auto &subject : foreignSubjects())
      subjects.push_back(std::move(subject));
  fmt::print("{}", error);
  fmt::print("{:36} {:>5} {:>9} {:>6} {:>10} {:>11} {:>9}\n", "kernel", "count", "reported", "wrong", "unnoticed", "equivalent", "score");
  Score total;
  Uses uses;
  bool isGood = error.empty();
  for (const auto &subject : subjects) {
    const std::string name = fmt::format("{}.{}", subject->target(), subject->name());
    if (!options.kernel.empty() && name.find(options.kernel) == std::string::npos)
      continue;
    Score score;
    isGood &= scoreOf(*subject, options, score, uses);
    print(name, score);
    total.add(score);
    std::fflush(stdout);
  }
  print("all", total);
  for (const auto &[id, count] : total.byId)
    fmt::print("  {}: {}\n", id, count);
  if (options.kernel.empty())
    isGood &= areAllUsed(options, uses);
  return isGood && total.counted() > 0 && total.share() >= options.least ? 0 : 1;
}

} // namespace attn::mutation

int main(int argc, char **argv) {
  attn::mutation::Options options;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    auto value = [&](std::string_view name) { return argument.starts_with(name) ? argument.substr(name.size()) : std::string_view(); };
    if (argument == "--verbose")
      options.verbose = true;
    else if (!value("--target=").empty())
      options.target = value("--target=");
    else if (!value("--kernel=").empty())
      options.kernel = value("--kernel=");
    else if (!value("--least=").empty())
      options.least = std::atof(std::string(value("--least=")).c_str());
    else {
      fmt::print(stderr, "{}: expects --target=sm_80|sm_90a, --kernel=NAME, --least=SHARE or --verbose\n", argument);
      return 2;
    }
  }
  return attn::mutation::run(options);
}
