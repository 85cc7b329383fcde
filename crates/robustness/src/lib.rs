//! Noise and adversarial attacks on any classifier with batched logits
