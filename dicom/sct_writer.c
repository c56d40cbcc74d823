/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/sct_files.h"
#include "dicom/sct_job.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static int check_uids(const struct sct_request *request, struct sctd_error *err)
{
    const int32_t n = request->options->enhanced ? 1 : request->hu->grid.dim[2];
    bool valid = dicom_uid_is_valid(request->series_uid);
    for (int32_t i = 0; valid && i < n; i++) {
        valid = dicom_uid_is_valid(request->instance_uid[i]);
    }
    return valid ? 0
                 : sctd_error(err, SCTD_EINVAL, "an sCT needs valid UIDs of series and instances");
}

static int check_sources(const struct sct_request *request, struct sctd_error *err)
{
    const int32_t slices = request->hu->grid.dim[2];
    if (request->n_sources == 0 ||
        (request->nearest == NULL && request->n_sources != (size_t)slices)) {
        return sctd_error(err, SCTD_EINVAL, "%d slices on the grid of %zu source slices",
                          (int)slices, request->n_sources);
    }
    for (int32_t k = 0; request->nearest != NULL && k < slices; k++) {
        if (request->nearest[k] < 0 || (size_t)request->nearest[k] >= request->n_sources) {
            return sctd_error(err, SCTD_EINVAL, "slice %d is nearest to none of %zu sources",
                              (int)k, request->n_sources);
        }
    }
    return 0;
}

static int check_request(const struct sct_request *request, struct sctd_error *err)
{
    const int32_t *dim = request->hu->grid.dim;
    if (dim[0] < 1 || dim[1] < 1 || dim[2] < 1) {
        return sctd_error(err, SCTD_EINVAL, "a volume of %d x %d x %d voxels", (int)dim[0],
                          (int)dim[1], (int)dim[2]);
    }
    const int32_t intercept = request->options->rescale_intercept;
    if (intercept != 0 && intercept != -1024) {
        return sctd_error(err, SCTD_EINVAL, "rescale intercept %d: use 0 or -1024", (int)intercept);
    }
    int r = check_sources(request, err);
    return r < 0 ? r : check_uids(request, err);
}

int sct_write_series(const struct sct_request *request, const char *folder,
                     sct_written_fn on_written, void *arg, struct sctd_error *err)
{
    sctd_auto(sct_files_freep) struct sct_files *files = NULL;
    sctd_auto(sct_job_fini) struct sct_job job = {.on_written = on_written, .arg = arg};
    int r = check_request(request, err);
    if (r == 0) {
        r = sct_job_init(&job, request, err);
    }
    if (r == 0) {
        r = sct_files_new(&files, folder, err);
    }
    if (r == 0) {
        r = request->options->enhanced ? sct_job_write_enhanced(&job, files, err)
                                       : sct_job_write_slices(&job, files, err);
    }
    return r < 0 ? r : sct_files_finish(files, err);
}
