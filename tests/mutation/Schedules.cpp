#include "tests/mutation/Subject.h"

#include "runtime/emulator/Emulator.h"

namespace attn::mutation {

const std::vector<Schedule> &schedules() {
  using emulator::AsyncCompletion;
  static const std::vector<Schedule> list = {{"eager", static_cast<int>(AsyncCompletion::Eager), 0},
                                             {"lazy", static_cast<int>(AsyncCompletion::Lazy), 0},
                                             {"random 1", static_cast<int>(AsyncCompletion::Random), 1},
                                             {"random 2", static_cast<int>(AsyncCompletion::Random), 2},
                                             {"random 3", static_cast<int>(AsyncCompletion::Random), 3}};
  return list;
}

} // namespace attn::mutation
