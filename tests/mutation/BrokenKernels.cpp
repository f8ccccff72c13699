// Whether the sanitizer notices kernels that are broken in the ways of Breakages.def.
//
//   broken_kernels [--target=sm_80|sm_90a] [--only=PART OF A NAME] [--places=N] [--verbose]
//
// Each breakage is applied at up to two (N) of the executed places it is for, one after the other. It passes when at least one place is
// reported, with a finding that counts, and none computes another result unnoticed (but for rows that allow it); or, where its row has
// no findings, when some result is wrong. Exits 1 when one does not pass.
#include "tests/mutation/Breakages.h"
#include "tests/mutation/Subject.h"

#include "runtime/emulator/Emulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace attn::mutation {

namespace {

struct Options {
  std::string target, only;
  std::size_t places = 2; ///< for each breakage
  bool verbose = false;
};

/// A kernel as it prints itself, what it computes, and what it executes.
struct Intact {
  std::string text;
  std::vector<std::string> outputs;
  std::set<unsigned> lines;
};

enum class Effect { None, Reported, Otherwise, Wrong, Refused };

} // namespace

static std::string outcomeOf(const Subject &subject, const Outcome &outcome) {
  return fmt::format("{}.{}: the correct kernel: {}", subject.target(), subject.name(), outcome.isLoaded ? outcome.finding : "cannot be loaded");
}

static bool prepare(Subject &subject, Intact &intact) {
  Result<emulator::PtxModule> module = emulator::PtxModule::parse(subject.text());
  if (!module)
    return false;
  intact.text = module->print();
  for (std::size_t input = 0; input < subject.inputs(); ++input) {
    const Outcome outcome = subject.run(intact.text, schedules().front(), input);
    if (!outcome.isLoaded || !outcome.finding.empty()) {
      fmt::print("{}\n", outcomeOf(subject, outcome));
      return false;
    }
    intact.outputs.push_back(outcome.output);
    intact.lines.insert(outcome.lines.begin(), outcome.lines.end());
  }
  return true;
}

static bool counts(std::string_view ids, const std::string &finding) {
  for (std::size_t at = 0; at + 3 <= ids.size() && ids[at] != '*'; at += 4)
    if (finding.find(fmt::format("{} ", ids.substr(at, 3))) != std::string::npos)
      return true;
  return false;
}

static Effect effectOf(Subject &subject, const Breakage &breakage, const Intact &intact, const std::string &text, std::string &finding) {
  Effect effect = Effect::None;
  for (const Schedule &schedule : schedules())
    for (std::size_t input = 0; input < subject.inputs(); ++input) {
      const Outcome outcome = subject.run(text, schedule, input);
      finding = outcome.finding;
      if (!outcome.isLoaded)
        return breakage.ids == "X01" ? Effect::Reported : Effect::Refused;
      if (!finding.empty())
        return breakage.ids.empty() || counts(breakage.ids, finding) ? Effect::Reported : Effect::Otherwise;
      if (outcome.output != intact.outputs[input])
        effect = Effect::Wrong;
    }
  return effect;
}

/// Some of many, the first and the last among them.
static std::vector<unsigned> spread(const std::vector<unsigned> &places, std::size_t most) {
  if (places.size() <= most)
    return places;
  std::vector<unsigned> some;
  for (std::size_t i = 0; i < most; ++i)
    some.push_back(places[i * (places.size() - 1) / (most - 1)]);
  return some;
}

static bool passes(Subject &subject, const Breakage &breakage, const Intact &intact, const Options &options) {
  constexpr const char *kNames[] = {"no effect", "reported", "OTHER FINDING", "WRONG", "REFUSED"};
  unsigned counted[5] = {};
  std::string details, first;
  for (unsigned line : spread(placesOf(breakage, intact.text, intact.lines), options.places)) {
    const std::string text = applied(breakage, intact.text, line);
    std::string finding = "the edit does not fit";
    const Effect effect = text.empty() ? Effect::Refused : effectOf(subject, breakage, intact, text, finding);
    ++counted[static_cast<std::size_t>(effect)];
    details += fmt::format("    {} at line {}: {}\n", kNames[static_cast<std::size_t>(effect)], line, finding.substr(0, 300));
    if (effect == Effect::Reported && first.empty())
      first = finding.substr(std::min(finding.find(": ") + 2, finding.size()), 3);
  }
  auto of = [&](Effect effect) { return counted[static_cast<std::size_t>(effect)]; };
  const bool isValue = breakage.ids.empty(), mayBeWrong = breakage.ids.ends_with('*');
  const bool isGood = of(Effect::Otherwise) == 0 && of(Effect::Refused) == 0 &&
                      (isValue ? of(Effect::Wrong) > 0 : of(Effect::Reported) > 0 && (mayBeWrong || of(Effect::Wrong) == 0));
  fmt::print("{} {:8} {:62} {} reported, {} without effect, {} wrong {}\n", isGood ? " " : "!", subject.target() + "." + subject.name(), breakage.name,
             of(Effect::Reported), of(Effect::None), of(Effect::Wrong), first);
  if (options.verbose || !isGood)
    fmt::print("{}", details.empty() ? "    there is no such place\n" : details);
  std::fflush(stdout);
  return isGood;
}

static int run(const Options &options) {
  std::string error;
  unsigned good = 0, all = 0, values = 0;
  for (const char *target : {"sm_80", "sm_90a"}) {
    if (!options.target.empty() && options.target != target)
      continue;
    for (auto &subject : specSubjects(target, error)) {
      Intact intact;
      for (const Breakage &breakage : breakages()) {
        if (!fmt::format("{}.{}", target, subject->name()).starts_with(breakage.kernel) || breakage.name.find(options.only) == std::string_view::npos)
          continue;
        if (intact.text.empty() && !prepare(*subject, intact))
          return 1;
        ++all;
        values += breakage.ids.empty();
        good += passes(*subject, breakage, intact, options);
      }
    }
  }
  fmt::print("{}{} of {} breakages as expected, {} of them of values alone\n", error, good, all, values);
  return error.empty() && good == all && all > 0 ? 0 : 1;
}

} // namespace attn::mutation

int main(int argc, char **argv) {
  attn::mutation::Options options;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--verbose")
      options.verbose = true;
    else if (argument.starts_with("--target="))
      options.target = argument.substr(9);
    else if (argument.starts_with("--places="))
      options.places = static_cast<std::size_t>(std::max(2, std::atoi(argv[i] + 9)));
    else if (argument.starts_with("--only="))
      options.only = argument.substr(7);
    else {
      fmt::print(stderr, "{}: expects --target=sm_80|sm_90a, --only=PART, --places=N or --verbose\n", argument);
      return 2;
    }
  }
  return attn::mutation::run(options);
}
