/* SPDX-License-Identifier: Apache-2.0 */
#include <openjpeg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/codec.h"
#include "dicom/instance.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

struct input {
    const unsigned char *bytes;
    size_t size, at;
};

static OPJ_SIZE_T read_input(void *buffer, OPJ_SIZE_T size, void *arg)
{
    struct input *in = arg;
    const size_t left = in->size - in->at;
    const size_t n = size < left ? size : left;
    if (n == 0) {
        return (OPJ_SIZE_T)-1;
    }
    memcpy(buffer, in->bytes + in->at, n);
    in->at += n;
    return n;
}

static OPJ_OFF_T skip_input(OPJ_OFF_T size, void *arg)
{
    struct input *in = arg;
    if (size < 0 || (uint64_t)size > in->size - in->at) {
        return -1;
    }
    in->at += (size_t)size;
    return size;
}

static OPJ_BOOL seek_input(OPJ_OFF_T to, void *arg)
{
    struct input *in = arg;
    if (to < 0 || (uint64_t)to > in->size) {
        return OPJ_FALSE;
    }
    in->at = (size_t)to;
    return OPJ_TRUE;
}

/* What OpenJPEG complains of: the first thing counts. */
struct complaint {
    char text[120];
};

static void complain(const char *text, void *arg)
{
    struct complaint *c = arg;
    if (c->text[0] == '\0') {
        (void)snprintf(c->text, sizeof c->text, "%.*s", (int)strcspn(text, "\r\n"), text);
    }
}

static void close_stream(opj_stream_t **stream)
{
    if (*stream != NULL) {
        opj_stream_destroy(*stream);
    }
}

static void close_codec(opj_codec_t **codec)
{
    if (*codec != NULL) {
        opj_destroy_codec(*codec);
    }
}

static void free_image(opj_image_t **image)
{
    if (*image != NULL) {
        opj_image_destroy(*image);
    }
}

static bool decode(opj_codec_t *codec, opj_stream_t *stream, opj_image_t **ret_image)
{
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    return opj_setup_decoder(codec, &parameters) == OPJ_TRUE &&
           opj_decoder_set_strict_mode(codec, OPJ_TRUE) == OPJ_TRUE &&
           opj_read_header(stream, codec, ret_image) == OPJ_TRUE &&
           opj_decode(codec, stream, *ret_image) == OPJ_TRUE &&
           opj_end_decompress(codec, stream) == OPJ_TRUE;
}

static void store(unsigned char *ret_samples, const OPJ_INT32 *value, size_t n, size_t width)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)value[i];
        for (size_t k = 0; k < width; k++) {
            ret_samples[i * width + k] = (unsigned char)(bits >> (8 * k));
        }
    }
}

int dicom_codec_decode_openjpeg(unsigned char *ret_samples, size_t room,
                                const struct dicom_code_stream *s, struct sctd_error *err)
{
    const struct dicom_pixel_format *f = s->format;
    const size_t n = (size_t)f->rows * (size_t)f->columns;
    const size_t width = (size_t)f->bits_allocated / 8;
    struct input in = {.bytes = s->bytes, .size = s->size};
    struct complaint complaint = {""};
    sctd_auto(free_image) opj_image_t *image = NULL;
    sctd_auto(close_codec) opj_codec_t *codec = opj_create_decompress(OPJ_CODEC_J2K);
    sctd_auto(close_stream) opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    if (codec == NULL || stream == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a decoder of JPEG 2000");
    }
    opj_stream_set_user_data(stream, &in, NULL);
    opj_stream_set_user_data_length(stream, in.size);
    opj_stream_set_read_function(stream, read_input);
    opj_stream_set_skip_function(stream, skip_input);
    opj_stream_set_seek_function(stream, seek_input);
    if (opj_set_error_handler(codec, complain, &complaint) != OPJ_TRUE ||
        opj_set_warning_handler(codec, complain, &complaint) != OPJ_TRUE ||
        !decode(codec, stream, &image) || complaint.text[0] != '\0') {
        return sctd_error(err, SCTD_EDATA, "%s",
                          complaint.text[0] == '\0' ? "a damaged stream" : complaint.text);
    }
    const opj_image_comp_t *component = image->numcomps == 1 ? image->comps : NULL;
    if (component == NULL || component->data == NULL || component->w != (OPJ_UINT32)f->columns ||
        component->h != (OPJ_UINT32)f->rows || n * width > room) {
        return sctd_error(err, SCTD_EDATA, "not the image that its header promises");
    }
    store(ret_samples, component->data, n, width);
    return 0;
}
