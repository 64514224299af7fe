"""Compute batch norms by TensorFlow's fused kernel while a network is fitted on a CPU.

Keras makes half a dozen passes over memory, which take a third of a step on a CPU with fast matrix
units. The results agree. Other backends keep Keras's own layer.
"""

from typing import Any

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch norm over the last axis of images (n, height, width, channels), in one pass."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalised images; update the moving statistics if `training`."""
        if mask is not None or len(inputs.shape) != 4 or self.axis not in (-1, 3):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        fits = bool(training) and self.trainable
        mean, variance = self.moving_mean.value, self.moving_variance.value
        scale = tf.ones_like(mean) if self.gamma is None else self.gamma.value
        outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=scale,
            offset=tf.zeros_like(mean) if self.beta is None else self.beta.value,
            mean=[] if fits else mean,
            variance=[] if fits else variance,
            epsilon=self.epsilon,
            is_training=fits,
        )
        if fits:
            count = tf.cast(tf.size(inputs) / tf.size(mean), tf.float32)
            # The kernel gives the unbiased variance; Keras keeps the biased one.
            biased = batch_variance * (count - 1) / count
            self.moving_mean.assign(mean * self.momentum + batch_mean * (1 - self.momentum))
            self.moving_variance.assign(variance * self.momentum + biased * (1 - self.momentum))
        return outputs


def fuse_norms(backbone: keras.Model) -> keras.Model:
    """Return the backbone with fused batch norms if the Keras backend has them.

    The copy has new weights: set them afterwards.
    """
    if keras.backend.backend() != "tensorflow":
        return backbone
    return keras.models.clone_model(backbone, clone_function=_clone_layer)


def _clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    plain = type(layer) is keras.layers.BatchNormalization
    kind = FusedBatchNormalization if plain else layer.__class__
    return kind.from_config(layer.get_config())
