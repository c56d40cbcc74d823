/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_source.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unistd.h>
#include <utility>
#include <vector>

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "dicom/attributes.h"
#include "dicom/guard.hh"
#include "engine/base/buf.h"
#include "engine/base/error.h"

struct sct_source {
    /* DCMTK loads values when they are asked for, so that even reading needs a writable object. */
    std::unique_ptr<DcmFileFormat> file;
    const char *transfer_syntax; /* static text of DCMTK's */
};

namespace
{

enum { MAX_DEPTH = 16 };
constexpr std::size_t max_sequence = std::size_t{64} << 20;

int copy_element(struct dicom_attributes *to, DcmElement &element, int depth,
                 struct sctd_error *err);

bool is_copied(const DcmElement &element)
{
    return element.getGTag() % 2 == 0 && element.getETag() != 0;
}

int copy_item(struct sctd_buf *items, DcmItem &item, int depth, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes elements = {};
    for (unsigned long i = 0; i < item.card(); i++) {
        DcmElement *element = item.getElement(i);
        const int r = is_copied(*element) ? copy_element(&elements, *element, depth, err) : 0;
        if (r < 0) {
            return r;
        }
    }
    return dicom_attributes_add_item(items, &elements, err);
}

int copy_sequence(struct dicom_attributes *to, DcmSequenceOfItems &sequence, int depth,
                  struct sctd_error *err)
{
    if (depth >= MAX_DEPTH) {
        return sctd_error(err, SCTD_EDATA, "a sequence is nested more than %d deep", MAX_DEPTH);
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf items = sctd_buf_make(max_sequence);
    for (unsigned long i = 0; i < sequence.card(); i++) {
        const int r = copy_item(&items, *sequence.getItem(i), depth + 1, err);
        if (r < 0) {
            return r;
        }
    }
    const std::uint32_t tag = std::uint32_t{sequence.getGTag()} << 16 | sequence.getETag();
    return dicom_attributes_set_items(to, tag, &items, err);
}

/*
 * DcmElement's own methods are called past those of its subclasses, which trim text and pad it anew.
 */
int copy_element(struct dicom_attributes *to, DcmElement &element, int depth,
                 struct sctd_error *err)
{
    if (element.ident() == EVR_SQ) {
        return copy_sequence(to, static_cast<DcmSequenceOfItems &>(element), depth, err);
    }
    const std::uint32_t tag = std::uint32_t{element.getGTag()} << 16 | element.getETag();
    const Uint32 size = element.DcmElement::getLength();
    std::vector<char> value(size);
    if (size > 0) {
        const OFCondition done =
            element.DcmElement::getPartialValue(value.data(), 0, size, nullptr, EBO_LittleEndian);
        if (done.bad()) {
            return sctd_error(err, SCTD_EDATA, "element (%04x,%04x) cannot be read: %s", tag >> 16,
                              tag & 0xffffU, done.text());
        }
    }
    const DcmVR vr(DcmVR(element.getVR()).getValidEVR());
    return dicom_attributes_set(to, tag, vr.getVRName(), value.data(), size, err);
}

int copy_from(struct dicom_attributes *to, DcmItem &item, std::uint32_t tag, struct sctd_error *err)
{
    DcmElement *element = nullptr;
    const DcmTagKey key(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xffffU));
    if (item.findAndGetElement(key, element).bad() || element == nullptr) {
        return SCT_SOURCE_ABSENT;
    }
    return copy_element(to, *element, 0, err);
}

/* Item `index` of a sequence; null if there is none. */
DcmItem *get_item(DcmItem &item, const DcmTagKey &sequence, long index)
{
    DcmItem *found = nullptr;
    return item.findAndGetSequenceItem(sequence, found, index).good() ? found : nullptr;
}

int copy_group(struct dicom_attributes *to, DcmItem &set, std::uint32_t group,
               struct sctd_error *err)
{
    for (unsigned long i = 0; i < set.card(); i++) {
        DcmElement *element = set.getElement(i);
        const bool wanted = element->getGTag() == group && is_copied(*element);
        const int r = wanted ? copy_element(to, *element, 0, err) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* From a frame's own functional groups before the shared ones. */
int copy_from_groups(struct dicom_attributes *to, DcmItem *const places[2], const DcmTagKey &group,
                     std::uint32_t tag, struct sctd_error *err)
{
    for (int i = 0; i < 2; i++) {
        DcmItem *item = places[i] == nullptr ? nullptr : get_item(*places[i], group, 0);
        const int r = item == nullptr ? SCT_SOURCE_ABSENT : copy_from(to, *item, tag, err);
        if (r != SCT_SOURCE_ABSENT) {
            return r;
        }
    }
    return SCT_SOURCE_ABSENT;
}

} // namespace

int sct_source_open(struct sct_source **ret_source, const char *path, struct sctd_error *err)
{
    return dicom_guard(err, [&] {
        if (access(path, R_OK) != 0) {
            return sctd_error(err, SCTD_EIO, "%.160s cannot be read", path);
        }
        auto file = std::make_unique<DcmFileFormat>();
        const OFCondition done = file->loadFileUntilTag(
            path, EXS_Unknown, EGL_noChange, DCM_MaxReadLength, ERM_autoDetect, DCM_PixelData);
        if (done.bad()) {
            return sctd_error(err, SCTD_EDATA, "%.120s: %s", path, done.text());
        }
        const char *syntax = DcmXfer(file->getDataset()->getOriginalXfer()).getXferID();
        *ret_source = new sct_source{std::move(file), syntax};
        return 0;
    });
}

void sct_source_close(struct sct_source *source)
{
    delete source;
}

int sct_source_copy(struct dicom_attributes *to, const struct sct_source *source, std::uint32_t tag,
                    struct sctd_error *err)
{
    return dicom_guard(err, [&] { return copy_from(to, *source->file->getDataset(), tag, err); });
}

int sct_source_copy_group(struct dicom_attributes *to, const struct sct_source *source,
                          std::uint32_t group, struct sctd_error *err)
{
    return dicom_guard(err,
                       [&] { return copy_group(to, *source->file->getDataset(), group, err); });
}

int sct_source_copy_of_frame(struct dicom_attributes *to, const struct sct_source *source,
                             std::int32_t frame, std::uint32_t sequence, std::uint32_t tag,
                             struct sctd_error *err)
{
    return dicom_guard(err, [&] {
        DcmDataset &set = *source->file->getDataset();
        if (!sct_source_is_enhanced(source)) {
            return copy_from(to, set, tag, err);
        }
        const DcmTagKey group(static_cast<Uint16>(sequence >> 16),
                              static_cast<Uint16>(sequence & 0xffffU));
        DcmItem *const places[] = {get_item(set, DCM_PerFrameFunctionalGroupsSequence, frame),
                                   get_item(set, DCM_SharedFunctionalGroupsSequence, 0)};
        return copy_from_groups(to, places, group, tag, err);
    });
}

bool sct_source_is_enhanced(const struct sct_source *source)
{
    return source->file->getDataset()->tagExists(DCM_SharedFunctionalGroupsSequence);
}

const char *sct_source_get_transfer_syntax(const struct sct_source *source)
{
    return source->transfer_syntax;
}
