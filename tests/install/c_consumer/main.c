/* A project in C alone: opens the emulator, loads a package and tells what its plan takes. */
#include <attn/c/Attn.h>

#include <stdio.h>

int main(int count, char **arguments) {
  AttnDevice *device = NULL;
  AttnModule *module = NULL;
  AttnPlan *plan = NULL;
  if (count < 2 || attnDeviceOpen("emulator", NULL, &device) || attnModuleLoad(device, arguments[1], &module) ||
      attnModulePlan(module, NULL, &plan)) {
    fprintf(stderr, "%s\n", attnLastMessage());
    return 1;
  }
  printf("%s for %s:", attnPlanName(plan), attnPlanTarget(plan));
  for (size_t i = 0; i < attnPlanArgumentCount(plan); ++i) {
    AttnArgumentInfo info;
    if (attnPlanArgument(plan, i, &info))
      return 1;
    printf(" %s", info.name);
  }
  printf("\n");
  attnPlanClose(plan);
  attnModuleClose(module);
  attnDeviceClose(device);
  return 0;
}
