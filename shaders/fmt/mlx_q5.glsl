// MLX_Q5: see mlx.glsl.
#define F_BITS 5
#include "mlx.glsl"
