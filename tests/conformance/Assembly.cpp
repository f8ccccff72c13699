#include "tests/conformance/Assembly.h"

#include "support/Hash.h"
#include "tools/attnc/Ptxas.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

namespace attn::conformance {

/// Bytes of spill stores and loads that are known of a test, by its name.
static const std::map<std::string, unsigned> kKnownSpills = {
#define SPILL(test, bytes) {test, bytes},
#include "tests/conformance/Spills.def"
#undef SPILL
};

bool canAssemble() { return tools::findPtxas().has_value(); }

/// What of the text makes the machine code: without its kernels' own name and without lines of the source.
static Hash128 hashOfCode(const std::string &ptx, const AssemblySubject &subject) {
  Hasher hasher;
  hasher.add(subject.assembledFor);
  std::istringstream lines(ptx);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(".loc\t") != std::string::npos || line.find(".file\t") != std::string::npos)
      continue;
    for (std::size_t at = line.find(subject.kernel); at != std::string::npos; at = line.find(subject.kernel, at + 1)) {
      std::size_t end = at + subject.kernel.size();
      if (end == line.size() || line[end] == '(' || line[end] == '_') // a name, not a part of an instruction
        line.replace(at, subject.kernel.size(), "%");
    }
    hasher.add(line);
  }
  return hasher.finish();
}

static Result<tools::AssemblerReport> assembleOnce(const std::string &ptx, const AssemblySubject &subject) {
  static std::map<Hash128, tools::AssemblerReport> known;
  Hash128 code = hashOfCode(ptx, subject);
  if (auto found = known.find(code); found != known.end())
    return found->second;
  Result<tools::AssemblerReport> report = tools::assemble(ptx, subject.assembledFor);
  if (report) {
    report->cubin.clear();
    known.emplace(code, *report);
  }
  return report;
}

static void checkSpills(const tools::AssemblerReport &report, const AssemblySubject &subject) {
  unsigned spills = 0;
  for (const tools::KernelResources &kernel : report.kernels) {
    EXPECT_GT(kernel.registers, 0U) << report.text;
    spills += kernel.spillBytes;
  }
  testing::Test::RecordProperty("spill_bytes", static_cast<int>(spills));
  if ((subject.longestRow > 128 && subject.assembledFor != "sm_90a") || subject.assembledFor != subject.compiledFor)
    return;
  auto known = kKnownSpills.find(subject.name);
  unsigned limit = known == kKnownSpills.end() ? 0 : known->second;
  EXPECT_LE(spills, limit) << subject.name << " spills " << spills << " bytes:\n" << report.text;
  if (limit > 0) {
    EXPECT_GT(spills, 0U) << subject.name << " no longer spills: take it out of Spills.def";
  }
}

void checkAssembly(const std::string &ptx, const AssemblySubject &subject) {
  Result<tools::AssemblerReport> report = assembleOnce(ptx, subject);
  ASSERT_TRUE(report) << subject.name << ": " << report.status().message();
  ASSERT_FALSE(report->kernels.empty()) << report->text;
  EXPECT_EQ(report->text.find("(C75"), std::string::npos) << "products of " << subject.name << " are serialised:\n" << report->text;
  checkSpills(*report, subject);
}

} // namespace attn::conformance
