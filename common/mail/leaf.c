/* leaf: what the fields of a part without parts say, decoded. */
#include "mail/internal.h"

#include <libetpan/libetpan.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PARAMETERS_MAX 64

static const char *discrete_name(const struct mailmime_discrete_type *type)
{
	static const char *const names[] = { [MAILMIME_DISCRETE_TYPE_TEXT] = "text",
		[MAILMIME_DISCRETE_TYPE_IMAGE] = "image",
		[MAILMIME_DISCRETE_TYPE_AUDIO] = "audio",
		[MAILMIME_DISCRETE_TYPE_VIDEO] = "video",
		[MAILMIME_DISCRETE_TYPE_APPLICATION] = "application" };
	if (type->dt_type == MAILMIME_DISCRETE_TYPE_EXTENSION)
		return type->dt_extension;
	return names[type->dt_type];
}

static const char *main_type(const struct mailmime_type *type)
{
	if (type->tp_type == MAILMIME_TYPE_DISCRETE_TYPE)
		return discrete_name(type->tp_data.tp_discrete_type);
	const struct mailmime_composite_type *composite = type->tp_data.tp_composite_type;
	if (composite->ct_type == MAILMIME_COMPOSITE_TYPE_MESSAGE)
		return "message";
	if (composite->ct_type == MAILMIME_COMPOSITE_TYPE_MULTIPART)
		return "multipart";
	return composite->ct_token;
}

/* "type/subtype" in lower case; what is none is application/octet-stream. */
static void type_read(const struct mailmime_content *content, char out[TYPE_BYTES_MAX])
{
	if (content == NULL) {
		snprintf(out, TYPE_BYTES_MAX, "text/plain");
		return;
	}
	const char *main = main_type(content->ct_type);
	int len = snprintf(out, TYPE_BYTES_MAX, "%s/%s", main ? main : "",
	    content->ct_subtype ? content->ct_subtype : "");
	for (char *p = out; *p != 0; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 32);
	if (len >= TYPE_BYTES_MAX || !media_type_valid(out))
		snprintf(out, TYPE_BYTES_MAX, "application/octet-stream");
}

static size_t content_parameters(
    const struct mailmime_content *content, struct parameter out[PARAMETERS_MAX])
{
	size_t count = 0;
	if (content == NULL || content->ct_parameters == NULL)
		return 0;
	for (clistiter *i = clist_begin(content->ct_parameters);
	     i != NULL && count < PARAMETERS_MAX; i = clist_next(i)) {
		const struct mailmime_parameter *p = clist_content(i);
		if (p->pa_name != NULL && p->pa_value != NULL)
			out[count++] = (struct parameter){ p->pa_name, p->pa_value };
	}
	return count;
}

static size_t disposition_parameters(
    const struct mailmime_disposition *disposition, struct parameter out[PARAMETERS_MAX])
{
	size_t count = 0;
	if (disposition->dsp_parms == NULL)
		return 0;
	for (clistiter *i = clist_begin(disposition->dsp_parms);
	     i != NULL && count < PARAMETERS_MAX; i = clist_next(i)) {
		const struct mailmime_disposition_parm *p = clist_content(i);
		if (p->pa_type == MAILMIME_DISPOSITION_PARM_FILENAME &&
		    p->pa_data.pa_filename != NULL)
			out[count++] = (struct parameter){ "filename", p->pa_data.pa_filename };
		else if (p->pa_type == MAILMIME_DISPOSITION_PARM_PARAMETER)
			out[count++] = (struct parameter){ p->pa_data.pa_parameter->pa_name,
				p->pa_data.pa_parameter->pa_value };
	}
	return count;
}

static const struct mailmime_disposition *disposition_of(const struct mailmime *node)
{
	if (node->mm_mime_fields == NULL)
		return NULL;
	for (clistiter *i = clist_begin(node->mm_mime_fields->fld_list); i != NULL;
	     i = clist_next(i)) {
		const struct mailmime_field *f = clist_content(i);
		if (f->fld_type == MAILMIME_FIELD_DISPOSITION)
			return f->fld_data.fld_disposition;
	}
	return NULL;
}

static void leaf_transfer(struct leaf *leaf, int encoding)
{
	if (encoding == MAILMIME_MECHANISM_BASE64)
		leaf->transfer = TRANSFER_BASE64;
	else if (encoding == MAILMIME_MECHANISM_QUOTED_PRINTABLE)
		leaf->transfer = TRANSFER_QUOTED;
	else
		leaf->opaque = encoding == MAILMIME_MECHANISM_TOKEN;
}

void leaf_read(const struct mailmime *node, struct leaf *leaf)
{
	struct parameter list[PARAMETERS_MAX];
	*leaf = (struct leaf){ 0 };
	type_read(node->mm_content_type, leaf->type);
	size_t count = content_parameters(node->mm_content_type, list);
	char *format = parameter_decode(list, count, "format");
	char *delsp = parameter_decode(list, count, "delsp");
	leaf->flowed = format != NULL && strcasecmp(format, "flowed") == 0;
	leaf->delsp = delsp != NULL && strcasecmp(delsp, "yes") == 0;
	str_free(&format);
	str_free(&delsp);
	leaf->charset = parameter_decode(list, count, "charset");
	leaf->name = parameter_decode(list, count, "name");
	const struct mailmime_disposition *disposition = disposition_of(node);
	if (disposition != NULL) {
		leaf->attached =
		    disposition->dsp_type->dsp_type == MAILMIME_DISPOSITION_TYPE_ATTACHMENT;
		count = disposition_parameters(disposition, list);
		char *name = parameter_decode(list, count, "filename");
		if (name != NULL) {
			str_free(&leaf->name);
			leaf->name = name;
		}
	}
	const struct mailmime_data *data = node->mm_data.mm_single;
	if (data != NULL && data->dt_type == MAILMIME_DATA_TEXT) {
		leaf->raw =
		    bytes_of(data->dt_data.dt_text.dt_data, data->dt_data.dt_text.dt_length);
		leaf_transfer(leaf, data->dt_encoding);
	}
}

void leaf_free(struct leaf *leaf)
{
	str_free(&leaf->name);
	str_free(&leaf->charset);
}
