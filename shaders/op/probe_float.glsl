// Peak probe: float32 multiply-adds, 8 chains of vectors a thread.
#define Value vec4
#define STEP(a, x) a = fma(a, vec4(0.999), x)
#include "probe_chains.glsl"
