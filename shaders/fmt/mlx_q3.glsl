// MLX_Q3: see mlx.glsl.
#define F_BITS 3
#include "mlx.glsl"
