// Peak probe: float16 multiply-adds, 8 chains of vectors a thread.
#define Value f16vec4
#define STEP(a, x) a = fma(a, f16vec4(0.999), x)
#include "probe_chains.glsl"
