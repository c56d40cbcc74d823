/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api/routes.h"

#include <stddef.h>

#include "server/api/context.h"
#include "server/exposition.h"
#include "server/http/access.h"
#include "server/http/reply.h"
#include "server/http/route.h"

#define GET(path, params, role, handle) {(path), (params), REPLY_JSON, (handle), HTTP_GET, (role)}
#define GET_AS(type, path, params, role, handle)                                                   \
    {(path), (params), (type), (handle), HTTP_GET, (role)}
#define POST(path, role, handle)   {(path), "", REPLY_JSON, (handle), HTTP_POST, (role)}
#define DELETE(path, role, handle) {(path), "", REPLY_JSON, (handle), HTTP_DELETE, (role)}

#define PREVIEW_PARAMS "which plane slice center width size"

const struct route api_routes[] = {
    GET("/healthz", "", ACCESS_NOBODY, api_healthz),
    GET("/readyz", "", ACCESS_NOBODY, api_readyz),
    GET_AS(EXPOSITION_TYPE, "/metrics", "", ACCESS_VIEWER, api_metrics),
    GET("/api/v1/openapi.json", "", ACCESS_NOBODY, api_openapi),
    GET("/api/v1/status", "", ACCESS_VIEWER, api_status),
    GET("/api/v1/activity", "hours", ACCESS_VIEWER, api_activity),
    GET("/api/v1/diagnosis", "", ACCESS_VIEWER, api_diagnosis),
    GET_AS("text/event-stream", "/api/v1/events", "", ACCESS_VIEWER, api_events),
    GET("/api/v1/session", "", ACCESS_VIEWER, api_session),
    POST("/api/v1/session", ACCESS_NOBODY, api_login),
    DELETE("/api/v1/session", ACCESS_VIEWER, api_logout),
    GET("/api/v1/jobs",
        "state review source_ae rule model series_uid output_series_uid from before order cursor limit "
        "timings identity",
        ACCESS_VIEWER, api_jobs),
    GET("/api/v1/jobs/{id}", "identity", ACCESS_VIEWER, api_job),
    POST("/api/v1/jobs/{id}/retry", ACCESS_OPERATOR, api_job_retry),
    POST("/api/v1/jobs/{id}/cancel", ACCESS_OPERATOR, api_job_cancel),
    POST("/api/v1/jobs/{id}/prioritise", ACCESS_OPERATOR, api_job_prioritise),
    GET("/api/v1/jobs/{id}/quality", "", ACCESS_VIEWER, api_job_quality),
    POST("/api/v1/jobs/{id}/accept", ACCESS_OPERATOR, api_job_accept),
    POST("/api/v1/jobs/{id}/reject", ACCESS_OPERATOR, api_job_reject),
    DELETE("/api/v1/jobs/{id}/result", ACCESS_ADMIN, api_job_delete_result),
    GET_AS("image/png", "/api/v1/jobs/{id}/preview.png", PREVIEW_PARAMS, ACCESS_VIEWER,
           api_preview),
    GET("/api/v1/jobs/{id}/images", "", ACCESS_VIEWER, api_images),
    GET("/api/v1/jobs/{id}/histogram", "", ACCESS_VIEWER, api_histogram),
    GET("/api/v1/series", "state study_uid order cursor limit identity", ACCESS_VIEWER,
        api_series_list),
    GET("/api/v1/series/{id}", "identity", ACCESS_VIEWER, api_series),
    POST("/api/v1/series/{id}/complete", ACCESS_OPERATOR, api_series_complete),
    POST("/api/v1/series/{id}/discard", ACCESS_OPERATOR, api_series_discard),
    POST("/api/v1/series/{id}/reopen", ACCESS_OPERATOR, api_series_reopen),
    GET_AS("image/png", "/api/v1/series/{id}/preview.png", PREVIEW_PARAMS, ACCESS_VIEWER,
           api_preview),
    GET("/api/v1/series/{id}/images", "", ACCESS_VIEWER, api_images),
    GET("/api/v1/batches", "state order cursor limit", ACCESS_VIEWER, api_batches),
    POST("/api/v1/batches", ACCESS_OPERATOR, api_batch_create),
    GET("/api/v1/batches/{id}", "identity", ACCESS_VIEWER, api_batch),
    GET("/api/v1/batches/{id}/series", "state cursor limit", ACCESS_VIEWER, api_batch_series),
    GET("/api/v1/batches/{id}/report", "", ACCESS_VIEWER, api_batch_report),
    GET_AS("text/csv; charset=utf-8", "/api/v1/batches/{id}/report.csv", "", ACCESS_VIEWER,
           api_batch_report_csv),
    POST("/api/v1/batches/{id}/pause", ACCESS_OPERATOR, api_batch_pause),
    POST("/api/v1/batches/{id}/resume", ACCESS_OPERATOR, api_batch_resume),
    POST("/api/v1/batches/{id}/cancel", ACCESS_OPERATOR, api_batch_cancel),
    GET("/api/v1/destinations", "", ACCESS_VIEWER, api_destinations),
    GET("/api/v1/destinations/{name}", "", ACCESS_VIEWER, api_destination),
    POST("/api/v1/destinations/{name}/echo", ACCESS_OPERATOR, api_destination_echo),
    GET("/api/v1/models", "", ACCESS_VIEWER, api_models),
    GET("/api/v1/models/{name}", "", ACCESS_VIEWER, api_model),
    POST("/api/v1/models/{name}/activate", ACCESS_ADMIN, api_model_activate),
    POST("/api/v1/models/{name}/verify", ACCESS_OPERATOR, api_model_verify),
    GET("/api/v1/rules", "", ACCESS_VIEWER, api_rules),
    POST("/api/v1/rules/test", ACCESS_VIEWER, api_rules_test),
    GET("/api/v1/configuration", "", ACCESS_ADMIN, api_configuration),
    GET("/api/v1/audit", "kind subject order cursor limit", ACCESS_ADMIN, api_audit),
    GET_AS("text/html; charset=utf-8", "/", "", ACCESS_NOBODY, api_asset),
    GET_AS("*/*", "/assets/{name}", "", ACCESS_NOBODY, api_asset),
};
const size_t api_routes_count = sizeof api_routes / sizeof *api_routes;
