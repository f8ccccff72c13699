// Findings: their wording, and the checks for undefined operands that many handlers share.
#include "runtime/emulator/Cta.h"

#include <fmt/format.h>

#include <bit>

namespace attn::emulator {

void Launch::add(Finding finding, std::uint32_t origin) {
  std::lock_guard lock(mutex);
  if (!options.keepGoing)
    stopped = true;
  if (reported.emplace(finding.id, origin).second && (options.keepGoing || findings.empty()))
    findings.push_back(std::move(finding));
}

static std::string describeLanes(std::uint32_t lanes) {
  if (lanes == 0)
    return "";
  if (lanes == kFullMask)
    return " all lanes";
  std::string text = std::popcount(lanes) == 1 ? " lane " : " lanes ";
  bool first = true;
  for (unsigned lane = 0; lane < 32;) {
    if (!(lanes >> lane & 1)) {
      ++lane;
      continue;
    }
    unsigned end = lane;
    while (end < 32 && (lanes >> end & 1))
      ++end;
    text += fmt::format("{}{}", first ? "" : ",", lane);
    if (end - lane > 1)
      text += fmt::format("-{}", end - 1);
    first = false;
    lane = end;
  }
  return text;
}

void Warp::report(const Inst &in, const char *id, std::uint32_t lanes, const std::string &detail) {
  const Origin &origin = launch.program->origins[in.origin];
  const ptx::Module &module = *launch.program->module;
  Finding finding;
  finding.id = id;
  finding.ptxLine = origin.instruction->line;
  finding.ptxText = std::string(module.lineText(finding.ptxLine));
  const ptx::SourceLocation &location = origin.instruction->location;
  if (location.line && location.file < module.files.size())
    finding.source = {module.files[location.file], location.line};
  finding.cta = cta.position;
  finding.warp = index;
  finding.lanes = lanes;
  std::string where = fmt::format("{}:{}", module.name, finding.ptxLine);
  if (finding.source.line)
    where += fmt::format(", {}:{}", finding.source.file, finding.source.line);
  finding.message = fmt::format("{} {}: `{}` ({}) in CTA ({}, {}, {}) warp {}{}", id, detail, finding.ptxText, where,
                                cta.position.x, cta.position.y, cta.position.z, index, describeLanes(lanes));
  launch.add(std::move(finding), in.origin);
  bool fatal = !launch.options.keepGoing || id[0] == 'D' || id[0] == 'B' || id[0] == 'X';
  if (fatal)
    fail();
}

bool Warp::checkDefined(const Inst &in, std::uint32_t slot, const char *role) {
  std::uint32_t lanes = undefined[slot] & exec;
  if (lanes == 0 || !launch.checked)
    return true;
  report(in, "U01", lanes, fmt::format("undefined value used as {}", role));
  undefined[slot] &= ~lanes; // once reported, it counts as defined
  return state != State::Failed;
}

bool Warp::checkPredicateDefined(const Inst &in, std::uint16_t predicate, std::uint32_t lanes, const char *role) {
  lanes &= predicatesUndefined[predicate];
  if (lanes == 0 || !launch.checked)
    return true;
  report(in, "U01", lanes, fmt::format("undefined value used as {}", role));
  predicatesUndefined[predicate] &= ~lanes;
  return state != State::Failed;
}

} // namespace attn::emulator
